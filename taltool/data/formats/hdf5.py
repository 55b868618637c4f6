"""Feature files: HDF5 with one dataset per video; see taltool-features(5)."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from taltool.data.clock import CLOCK_ATTRIBUTES
from taltool.data.feature_arrays import ArrayVideos, Source
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Features, Format, FormatOptions, Opening
from taltool.data.hdf5_features import (
    COMPLETE,
    ROOT_ATTRIBUTES,
    ClockOptions,
    FeatureFile,
    FeatureWriter,
    VideoFeatures,
)
from taltool.errors import UsageError

# More axes than these hold crops, or are 1 long.
_AXES = 2
_MAGIC = b"\x89HDF\r\n\x1a\n"


@FORMATS.register("hdf5")
class Hdf5(Format):
    """taltool's own features, and the field's files, whose clock `options` completes."""

    summary = "one dataset (snippets, channels) per video, with its clock, see taltool-features(5)"
    kinds = ("features",)
    heeds = frozenset({"dataset"})
    holds_frames = True
    suffixes = (".h5", ".hdf5", ".hdf")

    def recognises(self, opening: Opening) -> bool:
        """The signature of HDF5."""
        return opening.head.startswith(_MAGIC)

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Features]:
        """Read video by video; what others wrote goes by the names and axes that the user says."""
        with FeatureFile(path, ClockOptions(**options.clock), options.durations) as file:
            kept = {name: value for name, value in file.attributes.items() if name not in ROOT_ATTRIBUTES}
            is_said = bool(options.dataset or options.channels_first or options.crops)
            if is_said and not file.is_foreign:
                raise UsageError(
                    f"{path}: taltool wrote it, so names and axes are right: --dataset, --channels-first and --crops "
                    "are for the files of others"
                )
            if is_said or any(_is_of_other_axes(file.as_stored(name)) for name in file.ids):
                sources = {
                    name: Source(file.where(name), partial(file.as_stored, name), partial(file.attributes_of, name))
                    for name in file.ids
                }
                yield ArrayVideos(sources, options, path).features(kept)
                return

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
                attributes=kept,
                streams=file.streams,
                provenance=file.provenance,
                hints=file.hints(),
                frame_size=file.frame_size,
                blocks=file.blocks,
            )

    def write(self, content: Features, path: str, options: FormatOptions) -> list[str]:
        """Nothing is lost."""
        with FeatureWriter(path, content.attributes, content.streams or None, content.provenance) as writer:
            for video_id in content.ids:
                values, clock = content.values(video_id), content.clock(video_id)
                writer.write(VideoFeatures(video_id, values, clock, content.extras(video_id)))
        return []


def _is_of_other_axes(dataset: Any) -> bool:
    """Whether a dataset holds numbers, but neither (T, C) nor frames."""
    is_frames = dataset.ndim == _AXES + 2 and dataset.dtype == np.uint8
    return dataset.ndim > _AXES and not is_frames and dataset.dtype.kind in "fiu"
