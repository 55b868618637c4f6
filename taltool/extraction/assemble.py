"""The feature file of an extraction: what it holds, and how it is made of that and of partial results."""

import os
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from taltool.data.hdf5_features import EXTRACTION_ATTRIBUTES, FeatureFile, FeatureWriter, VideoFeatures
from taltool.data.provenance import Step
from taltool.errors import DataError, UsageError
from taltool.extraction.resume import PartialResults, identity_of, what_changed
from taltool.extraction.settings import ExtractionSettings

_BACKBONE, _SETTINGS = "backbone", "settings"


def refuse_other(output: str, settings: ExtractionSettings) -> None:
    """Raise UsageError where there is a file that is not ours or was made with other settings."""
    if not Path(output).exists():
        return
    with FeatureFile(output) as file:
        made = file.attributes.get(_SETTINGS)
    if made is None:
        raise UsageError(f"{output} is there and was not made by this command; give another name with -o")
    if made != settings.record():
        raise UsageError(
            f"{output} was made with other settings ({what_changed(settings.record(), made)}); give another name "
            "with -o, or remove the file"
        )


def identities_in(output: str) -> dict[str, dict[str, Any]]:
    """Of what every video that `output` holds was made, by id; empty where it is not there."""
    if not Path(output).exists():
        return {}
    with FeatureFile(output) as file:
        return {video_id: identity_of(file.video_attributes(video_id)) for video_id in file.ids}


def assemble(
    output: str,
    partial_results: PartialResults,
    earlier: Collection[str],
    settings: ExtractionSettings,
    streams: Mapping[str, tuple[int, int]],
    added: Step | None,
) -> int:
    """Write `output`, which held the videos `earlier`, anew with the partial results, and remove these.

    streams are the channels of each stream; added is the step that its chain gets, None to write none. Returns the
    number of its videos. Raises DataError, saying that nothing is lost, where it cannot be written.
    """
    new = set(partial_results.ids())
    if new:
        # Written inside that folder, so that a killed run leaves nothing else behind.
        whole = partial_results.folder / "whole.h5"
        try:
            with ExitStack() as close:
                old = close.enter_context(FeatureFile(output)) if earlier else None
                chain = None if added is None else [*(old.provenance if old else []), added]
                made = {_BACKBONE: settings.backbone, _SETTINGS: settings.record()}
                writer = close.enter_context(FeatureWriter(str(whole), made, streams, chain))
                for video_id in sorted(new.union(earlier)):
                    if old is None or video_id in new:
                        video = partial_results.load(video_id)
                    else:
                        values = (
                            old.frames(video_id) if settings.of_frames else old.read(video_id).astype(settings.dtype)
                        )
                        attributes = old.video_attributes(video_id)
                        kept = {name: attributes[name] for name in EXTRACTION_ATTRIBUTES if name in attributes}
                        video = VideoFeatures(video_id, values, old.clock(video_id), kept)
                    # The same order in every run: HDF5 keeps the order in which attributes were made.
                    writer.write(replace(video, attributes=dict(sorted(video.attributes.items()))))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise DataError(
                f"{output}: cannot be written: {reason}; finished videos wait in {partial_results.folder}: make room "
                "and run the command again"
            ) from error
        whole.replace(output)
    partial_results.remove()
    return len(new.union(earlier))
