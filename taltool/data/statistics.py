"""What a model may know about the data at hand when it fits its own settings (`--preset auto`)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetStatistics:
    """Sizes of a training set. Lengths are in snippets of the feature file, not seconds.

    video_lengths and instance_lengths are sorted ascending; instance lengths may be fractional. frame_size is the
    height and width of frames, None for features; a snippet of frames is a frame.
    """

    num_videos: int
    num_classes: int
    channels: int
    seconds_per_snippet: float
    video_lengths: tuple[int, ...]
    instance_lengths: tuple[float, ...]
    frame_size: tuple[int, int] | None = None

    def instance_length(self, quantile: float) -> float:
        """The length in snippets that `quantile` (0..1) of the instances do not exceed."""
        last = len(self.instance_lengths) - 1
        return self.instance_lengths[min(last, max(0, round(quantile * last)))]
