"""Feature files: HDF5 with one dataset per video; see taltool-features(5)."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.data.hdf5_features import (
    CLOCK_ATTRIBUTES,
    COMPLETE,
    ROOT_ATTRIBUTES,
    ClockOptions,
    FeatureFile,
    FeatureWriter,
    VideoFeatures,
)

_MAGIC = b"\x89HDF\r\n\x1a\n"


@FORMATS.register("hdf5")
class Hdf5(Format):
    """taltool's own features, and the field's files, whose clock `options` completes."""

    summary = "one dataset (snippets, channels) per video, with its clock, see taltool-features(5)"
    kinds = ("features",)
    holds_frames = True
    suffixes = (".h5", ".hdf5", ".hdf")

    def recognises(self, opening: Opening) -> bool:
        """The signature of HDF5."""
        return opening.head.startswith(_MAGIC)

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Features]:
        """Read video by video."""
        with FeatureFile(path, ClockOptions(**options.clock), options.durations) as file:

            def values(video_id: str) -> Any:
                if file.frame_size(video_id):
                    return file.frames(video_id)
                dtype = np.float16 if file.dtype(video_id) == np.float16 else np.float32
                return file.read(video_id).astype(dtype, copy=False)

            def extras(video_id: str) -> dict[str, Any]:
                own = (*CLOCK_ATTRIBUTES, COMPLETE)
                return {name: value for name, value in file.video_attributes(video_id).items() if name not in own}

            yield Features(
                file.ids,
                shape=file.shape,
                clock=file.clock,
                values=values,
                extras=extras,
                attributes={name: value for name, value in file.attributes.items() if name not in ROOT_ATTRIBUTES},
                streams=file.streams,
                provenance=file.provenance,
                frame_size=file.frame_size,
            )

    def write(self, content: Features, path: str, options: FormatOptions) -> list[str]:
        """Nothing is lost."""
        with FeatureWriter(path, content.attributes, content.streams or None, content.provenance) as writer:
            for video_id in content.ids:
                values, clock = content.values(video_id), content.clock(video_id)
                writer.write(VideoFeatures(video_id, values, clock, content.extras(video_id)))
        return []
