"""Writes a small data set whose features show where its actions are."""

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
