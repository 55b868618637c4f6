"""Which videos timelines show, which predictions are kept, and where the page looks for video files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from taltool.data.annotations import read_ground_truth
from taltool.data.records import GroundTruth
from taltool.errors import DataError, UsageError
from taltool.evaluation.timelines import (
    BestPredictions,
    chosen_videos,
    read_best,
    timelines,
    usual_count,
    video_addresses,
)
from taltool.reporting import Reporter

Told = list[str]
Read = Callable[..., BestPredictions]


@pytest.fixture
def truth(tmp_path: Path) -> GroundTruth:
    """Of subset a: two instances in v, none in w, one in x; of subset b: one in y."""

    def video(subset: str, *segments: list[int]) -> dict[str, object]:
        annotations = [{"segment": segment, "label": "run"} for segment in segments]
        return {"duration": 50, "subset": subset, "annotations": annotations}

    database = {"w": video("a"), "v": video("a", [1, 2], [3, 4]), "x": video("a", [1, 2]), "y": video("b", [1, 2])}
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    return read_ground_truth(str(tmp_path / "gt.json"))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read the best predictions of a file in which these videos have 30 each, the k-th best from k to k + 1."""

    def reading(*video_ids: str, asked: tuple[str, ...] = (), count: int = 20) -> BestPredictions:
        rows = [{"segment": [29 - k, 30 - k], "score": (k + 1) / 30, "label": "run"} for k in range(30)]
        lines = [json.dumps({"video_id": each, "duration": 60, "proposals": rows}) for each in video_ids]
        (tmp_path / "p.jsonl").write_text("\n".join(lines))
        return read_best(str(tmp_path / "p.jsonl"), asked, lambda _: count)

    return reading


def test_only_the_best_are_kept(read: Read) -> None:
    found = read("v", "w", count=3)
    assert found.best["v"].segments.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert found.best["v"].segments.base is None  # no view that keeps the rest alive
    assert found.counts == {"v": 30, "w": 30}


def test_only_the_videos_asked_for_are_kept(read: Read) -> None:
    found = read("v", "w", "x", asked=("w",))
    assert list(found.best) == ["w"]
    assert list(found.counts) == ["v", "w", "x"]


def test_videos_without_a_ground_truth_come_in_the_order_of_the_files(read: Read) -> None:
    assert chosen_videos(None, {"p": read("b", "a"), "q": read("c", "a")}, None, (), "p") == ["b", "a", "c"]


def test_videos_with_instances_come_first_and_those_that_the_truth_lacks_last(truth: GroundTruth, read: Read) -> None:
    files = {"p": read("new", "w", "x", "v", "y")}
    assert chosen_videos(truth, files, "a", (), "p") == ["v", "x", "w", "new"]
    assert chosen_videos(truth, files, None, (), "p") == ["v", "x", "y", "w", "new"]


def test_a_ground_truth_alone_shows_the_videos_with_instances(truth: GroundTruth) -> None:
    assert chosen_videos(truth, {}, "a", (), "gt") == ["v", "x"]


def test_a_video_that_is_asked_for_is_in_either_file(truth: GroundTruth, read: Read) -> None:
    files = {"p": read("new", asked=("new", "y", "w"))}
    assert chosen_videos(truth, files, "a", ("new", "y", "w", "y"), "p") == ["new", "y", "w"]
    with pytest.raises(DataError, match=r"p\.jsonl, gt\.json: no video 'nev'; did you mean 'new'"):
        chosen_videos(truth, files, "a", ("nev",), "p.jsonl, gt.json")


def test_nothing_to_draw_is_an_error(truth: GroundTruth, read: Read) -> None:
    with pytest.raises(DataError, match="p: nothing to draw, no prediction of a video of the subset"):
        chosen_videos(truth, {"p": read("y")}, "a", (), "p")
    with pytest.raises(DataError, match="p: nothing to draw, no prediction of a video"):
        chosen_videos(None, {"p": BestPredictions({}, {})}, None, (), "p")


def test_a_timeline_has_the_rows_that_there_are(truth: GroundTruth, read: Read) -> None:
    files = {"p": read("v", "new", "w")}
    found = timelines(truth, files, ["v", "new", "x", "w"], lambda each: usual_count(truth, each))
    assert [[(row.name, len(row.labels)) for row in each.rows] for each in found] == [
        [("ground truth", 2), ("p", 2)],
        [("p", 20)],
        [("ground truth", 1), ("p", 0)],
        [("ground truth", 0), ("p", 20)],
    ]
    assert [each.duration for each in found] == [50, 60, 50, 50]
    assert [row.total for row in found[0].rows] == [None, 30]
    assert found[1].rows[0].tious is None


class Listener(Reporter):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warnings: Told = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with videos in `films`."""
    for name in ("a.mp4", "deep/b c.webm", "deep/#d%.mkv", "deep/notes.txt"):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def addresses(operands: list[str], ids: list[str], page: str = "out/page.html") -> tuple[dict[str, str], Told]:
    listener = Listener()
    return video_addresses(page, operands, ids, listener), listener.warnings


def test_the_videos_of_a_folder_have_the_ids_that_extract_gives(folder: Path) -> None:
    found = {"a": "../films/a.mp4", "deep/b c": "../films/deep/b%20c.webm"}
    assert addresses(["films"], ["a", "deep/b c", "other"]) == (found, [])
    assert addresses(["films/**/*"], ["a", "deep/b c", "other"]) == (found, [])


def test_an_id_may_be_the_end_of_a_path(folder: Path) -> None:
    assert addresses(["films/deep/#d%.mkv"], ["films/deep/#d%", "#d"])[0] == {
        "films/deep/#d%": "../films/deep/%23d%25.mkv"
    }
    assert addresses(["films"], ["#d%", "a"])[0] == {"#d%": "../films/deep/%23d%25.mkv", "a": "../films/a.mp4"}


def test_an_id_can_be_named(folder: Path) -> None:
    assert addresses(["x=films/a.mp4"], ["x", "a"], "page.html") == ({"x": "films/a.mp4"}, [])
    (folder / "x=y.mp4").write_bytes(b"")
    assert addresses(["x=y.mp4"], ["x=y", "x"], "-") == ({"x=y": "x%3Dy.mp4"}, [])


def test_the_only_file_goes_with_the_only_video(folder: Path) -> None:
    assert addresses(["films/a.mp4"], ["v"])[0] == {"v": "../films/a.mp4"}
    assert addresses(["films"], ["v"])[0] == {}


def test_files_that_are_of_no_video_are_told_with_both_sides(folder: Path) -> None:
    _, warnings = addresses(["films/a.mp4", "films/deep"], ["v", "w", "x", "y", "b c"])
    assert warnings == [
        "--video-file films/a.mp4: of no video in the page; it is of 'a', the page has 'v', 'w', 'x' and 2 more "
        "(ID=PATH says which)"
    ]


def test_a_folder_of_frames_is_no_file_that_a_browser_plays(folder: Path) -> None:
    (folder / "frames" / "v").mkdir(parents=True)
    (folder / "frames" / "v" / "1.jpg").write_bytes(b"")
    found, (warning,) = addresses(["frames"], ["v", "w"])
    assert found == {}
    assert "it is of no video file, the page has 'v', 'w'" in warning


def test_two_files_of_one_video_are_an_error(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"two files of the video 'a', films/a\.mp4 and films/deep/b c\.webm"):
        addresses(["films/a.mp4", "a=films/deep/b c.webm"], ["a", "b"])
    assert addresses(["films/a.mp4", "films"], ["a", "b"])[0] == {"a": "../films/a.mp4"}


@pytest.mark.parametrize("operand", ["films/none.mp4", "v=none.mp4", "v=films", "none*"])
def test_a_path_that_is_not_there_is_an_error(folder: Path, operand: str) -> None:
    with pytest.raises(UsageError, match=r"no such file|is no file|nothing matches"):
        addresses([operand], ["v", "w"])
