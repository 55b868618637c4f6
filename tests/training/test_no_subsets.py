"""A ground truth without subsets leaves nothing to test on: training says so, and how to part it."""

import json
from pathlib import Path

from plugin.tiny_data import write_tiny_data

from taltool.reporting import Reporter
from taltool.training.train import train


class Listener(Reporter):
    """Remembers the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_training_on_all_videos_says_that_none_is_left(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    document = json.loads(data.truth.read_text())
    for with_subsets in (True, False):
        listener = Listener()
        if not with_subsets:
            for entry in document["database"].values():
                del entry["subset"]
        (tmp_path / "gt.json").write_text(json.dumps(document))
        train(
            data.features,
            tmp_path / "gt.json",
            model="tsa-tal",
            output=tmp_path / "m.safetensors",
            set_=["training.epochs=1"],
            reporter=listener,
        )
        told = [each for each in listener.warnings if "has no subsets: all of its 12 videos are trained on" in each]
        assert len(told) == (0 if with_subsets else 1)
        assert all(f"taltool convert {tmp_path / 'gt.json'} --random-split 0.8 -o split.json" in each for each in told)
