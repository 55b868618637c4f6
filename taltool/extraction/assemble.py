"""The feature file of an extraction: what it holds, and how it is made of that and of partial results."""

import os
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from taltool.data.hdf5_features import EXTRACTION_ATTRIBUTES, FeatureFile, FeatureWriter, VideoFeatures, unlike
from taltool.data.provenance import Step
from taltool.errors import DataError, UsageError
from taltool.extraction.resume import PartialResults
from taltool.extraction.settings import ExtractionSettings


def refuse_other(output: str, settings: ExtractionSettings) -> None:
    """Raise UsageError where there is a file that is not ours or was made with other settings."""
    if not Path(output).exists():
        return
    with FeatureFile(output) as file:
        made = file.attributes.get("settings")
    if made is None:
        raise UsageError(f"{output} is there and was not made by this command; give another name with -o")
    if made != settings.record():
        raise UsageError(
            f"{output} was made with other settings (now {unlike(settings.record(), made)}); give another name "
            "with -o, or remove the file"
        )


@dataclass(frozen=True)
class FeatureFileBuilder:
    """The feature file `output`, made of what it holds and the partial results.

    streams: the channels of each stream; provenance: the step that is added to its chain, None to write none.
    """

    output: str
    partial_results: PartialResults
    settings: ExtractionSettings
    streams: Mapping[str, tuple[int, int]]
    provenance: Step | None = None

    def complete(self, earlier: Collection[str]) -> int:
        """Write the file, which held the videos `earlier`, and remove the partial results; return the number of videos.

        Raises DataError, saying that nothing is lost, where it cannot be written.
        """
        new = set(self.partial_results.ids())
        if new:
            # Written inside that folder, so that a killed run leaves nothing else behind.
            whole = self.partial_results.folder / "whole.h5"
            try:
                self._write(whole, new, bool(earlier))
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise DataError(
                    f"{self.output}: cannot be written: {reason}; finished videos wait in "
                    f"{self.partial_results.folder}: make room and run the command again"
                ) from error
            whole.replace(self.output)
        self.partial_results.remove()
        return len(new.union(earlier))

    def _write(self, whole: Path, new: set[str], is_extended: bool) -> None:
        with ExitStack() as close:
            old = close.enter_context(FeatureFile(self.output)) if is_extended else None
            chain = None if self.provenance is None else [*(old.provenance if old else []), self.provenance]
            attributes = {"backbone": self.settings.backbone, "settings": self.settings.record()}
            writer = close.enter_context(FeatureWriter(str(whole), attributes, self.streams, chain))
            for video_id in sorted(new.union(old.ids if old else [])):
                video = self._waiting(video_id) if video_id in new or old is None else self._kept(video_id, old)
                # The same order in every run: HDF5 keeps the order in which attributes were made.
                writer.write(replace(video, attributes=dict(sorted(video.attributes.items()))))

    def _waiting(self, video_id: str) -> VideoFeatures:
        video = self.partial_results.load(video_id)
        if video is None:
            raise DataError(
                f"{self.partial_results.folder}: the features of video '{video_id}' were damaged or removed there: run "
                "the command again, which makes them anew"
            )
        return video

    def _kept(self, video_id: str, old: FeatureFile) -> VideoFeatures:
        attributes = {
            name: value for name, value in old.video_attributes(video_id).items() if name in EXTRACTION_ATTRIBUTES
        }
        values = old.read(video_id).astype(self.settings.dtype)
        return VideoFeatures(video_id, values, old.clock(video_id), attributes)
