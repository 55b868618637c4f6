"""Times and scores so large that lengths and sums of them would be infinite are refused where they are read."""

import json
from pathlib import Path
from typing import Any

import pytest

from taltool.data.annotations import read_ground_truth
from taltool.data.clock import FeatureClock
from taltool.data.formats.sniffing import open_content
from taltool.data.proposals import ProposalReader
from taltool.errors import DataError

TIMES = [1e15, 1e308, -1e308]


def proposal(start: float, end: float, score: float) -> dict[str, Any]:
    return {"segment": sorted([start, end]), "score": score}


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("each", [*[proposal(1.0, time, 0.5) for time in TIMES], proposal(1, 2, 1e300)])
def test_in_proposals(each: dict[str, Any], is_stream: bool, tmp_path: Path) -> None:
    line = {"video_id": "v", "proposals": [each]} if is_stream else {"results": {"v": [each]}}
    (tmp_path / "p.json").write_text(json.dumps(line))
    with (
        pytest.raises(DataError, match=r"p\.json.*of proposal 1 is not"),
        ProposalReader(str(tmp_path / "p.json")) as read,
    ):
        list(read)


@pytest.mark.parametrize("time", TIMES)
def test_in_a_ground_truth(time: float, tmp_path: Path) -> None:
    path, segment = tmp_path / "g.json", sorted([1.0, time])
    for entry in ({"annotations": [{"segment": segment, "label": "Run"}]}, {"duration": abs(time), "annotations": []}):
        path.write_text(json.dumps({"database": {"v": entry}}))
        with pytest.raises(DataError, match=r"g\.json: video 'v': (annotation 1: segment|duration)"):
            read_ground_truth(str(path))


@pytest.mark.parametrize(("row", "told"), [("v,1,1e308,0.5", "beyond 1e"), ("v,1,2,1e308", "score '1e308' is not")])
def test_in_a_table(row: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"video_id,start,end,score\n{row}\n")
    with pytest.raises(DataError, match=rf"p\.csv:2: .*{told}"), open_content(str(tmp_path / "p.csv")) as content:
        list(content.videos)  # type: ignore[union-attr]


@pytest.mark.parametrize("number", [1e300, 1e-320])
def test_in_a_clock(number: float) -> None:
    with pytest.raises(DataError, match="fps is"):
        FeatureClock(fps=number, stride=4.0, window=16.0, duration=9.5)


@pytest.mark.parametrize("length", ["0", "-1", "1e308", "nan"])
def test_in_the_lengths_of_charades(length: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"id,actions,length\nA,c092 11.90 21.20,{length}\n")
    with (
        pytest.raises(DataError, match=rf"c\.csv:2: duration '{length}' is not"),
        open_content(str(tmp_path / "c.csv"), "charades"),
    ):
        pass
