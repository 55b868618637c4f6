"""Writes small data sets whose features, or frames, show where their actions are."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureWriter, VideoFeatures

CLASSES = ("jump", "run")
CHANNELS = 6


@dataclass(frozen=True)
class TinyData:
    """Paths of the feature file and the ground truth."""

    features: Path
    truth: Path


def write_tiny_frames(folder: Path, num_videos: int = 8, size: int = 32, seed: int = 0) -> TinyData:
    """Videos v00 ... of 20 to 40 frames (colours and flow), 10 a second: an action is brighter in red or in green."""
    rng = np.random.default_rng(seed)
    database = {}
    with FeatureWriter(str(folder / "frames.h5"), streams={"rgb": (0, 3), "flow": (3, 5)}) as writer:
        for number in range(num_videos):
            length = int(rng.integers(20, 41))
            clock = FeatureClock(fps=10.0, stride=1.0, window=1.0, duration=length / 10)
            frames = rng.integers(60, 120, (length, size, size, 5), np.uint8)
            annotations = []
            for label, (first, last) in enumerate([(2, 8), (length - 10, length - 3)]):
                frames[first:last, ..., label] += 100
                annotations.append({"segment": [first / 10, last / 10], "label": CLASSES[label]})
            writer.write(VideoFeatures(f"v{number:02}", frames, clock, {}))
            subset = "validation" if number % 4 == 3 else "training"
            database[f"v{number:02}"] = {"duration": length / 10, "subset": subset, "annotations": annotations}
    (folder / "frames.json").write_text(json.dumps({"database": database}))
    return TinyData(folder / "frames.h5", folder / "frames.json")


def write_tiny_data(folder: Path, num_videos: int = 12, seed: int = 0) -> TinyData:
    """Videos v00 ... of 20 to 40 snippets, half a second each, two actions each; every fourth is for validation."""
    rng = np.random.default_rng(seed)
    database = {}
    with FeatureWriter(str(folder / "features.h5"), streams={"rgb": (0, 4), "flow": (4, 6)}) as writer:
        for number in range(num_videos):
            length = int(rng.integers(20, 41))
            clock = FeatureClock(fps=16.0, stride=8.0, window=8.0, duration=length / 2)
            values = rng.normal(0, 0.3, (length, CHANNELS)).astype(np.float32)
            annotations = []
            for label, (first, last) in enumerate([(2, 7), (length - 10, length - 4)]):
                values[first:last, label] += 2
                segment = [clock.seconds(float(first)), clock.seconds(float(last))]
                annotations.append({"segment": segment, "label": CLASSES[label]})
            writer.write(VideoFeatures(f"v{number:02}", values, clock, {}))
            subset = "validation" if number % 4 == 3 else "training"
            database[f"v{number:02}"] = {"duration": length / 2, "subset": subset, "annotations": annotations}
    (folder / "gt.json").write_text(json.dumps({"database": database}))
    return TinyData(folder / "features.h5", folder / "gt.json")
