"""Weights and calibrations out of a file: what no fit can have saved is refused with the file's name."""

import json
from pathlib import Path
from typing import Any

import pytest

from taltool.errors import DataError
from taltool.ops.fusion import Calibration, Source
from taltool.ops.method_names import FusionMethod
from taltool.postprocessing.fusion_weights import given

NAN, INFINITE = float("nan"), float("inf")


def read(folder: Path, before: Any, after: Any) -> tuple[Source, ...]:
    path = folder / "fit.json"
    path.write_text(json.dumps({"method": "wbf", "sources": [{"weight": 1, "before": before, "after": after}]}))
    return given(str(path), ["a.jsonl"], FusionMethod.wbf)


@pytest.mark.parametrize(("before", "after"), [([], []), ([-1.5], [0.2]), ([0.1, 0.5], [0.2, 0.2])])
def test_a_rising_calibration_is_taken(tmp_path: Path, before: list[float], after: list[float]) -> None:
    assert read(tmp_path, before, after) == (Source(1.0, Calibration(tuple(before), tuple(after))),)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([0.5, 0.1], [0.2, 0.9]),
        ([0.1, 0.1], [0.2, 0.9]),
        ([0.1, 0.5], [0.9, 0.2]),
        ([0.1, 0.5], [0.2]),
        ([0.1, 1e309], [0.2, 0.9]),
        ([1e-320, 0.5], [0.2, 0.9]),
        ([0.1, 0.5], [-0.2, 0.9]),
        ([0.1, 0.5], [0.2, 1e308]),
        ("ab", "cd"),
        ([[0.1], 0.5], [0.2, 0.9]),
        ([None, 0.5], [0.2, 0.9]),
    ],
)
def test_another_is_refused(tmp_path: Path, before: Any, after: Any) -> None:
    with pytest.raises(DataError, match=r"fit\.json: "):
        read(tmp_path, before, after)
