"""Proposals and detections in the layouts that other programs leave, each file here being a piece of such a one."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from project import Run

from taltool.data.convert import convert
from taltool.data.formats.contract import FormatOptions, Proposals
from taltool.data.formats.sniffing import open_content, sniff
from taltool.data.records import VideoProposals
from taltool.errors import DataError


def videos(path: Path, name: str | None = None, **facts: Any) -> list[VideoProposals]:
    with open_content(str(path), name, FormatOptions(**facts)) as content:
        assert isinstance(content, Proposals)
        return list(content.videos)


# github.com/jiyanggao/TURN-TAP eval/thumos14_results/TURN-C3D-16_SCNN_thumos14_iou0.5.txt
TURN = """video_test_0000896 62.8333333333 64.6666666667 9 0.0925795
video_test_0000896 70.7 71.9 40 0.0199445
"""


def test_a_list_of_many_videos_is_not_taken_for_one(tmp_path: Path) -> None:
    every = [{"video_id": name, "segment": [1, 2], "score": 0.5, "label": "run"} for name in ("a", "b")]
    (tmp_path / "p.json").write_text(json.dumps({"detections": every}))
    with pytest.raises(DataError, match=r"'detections': a proposal of the video 'a'; expected a member for each video"):
        convert(tmp_path / "p.json", output=tmp_path / "x.csv")
    (tmp_path / "p.json").write_text(json.dumps({"a": every[:1], "b": every[1:]}))
    assert convert(tmp_path / "p.json", output=tmp_path / "x.csv").kind == "proposals"


def test_detections_for_the_kit_of_thumos14_have_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "turn.txt"
    path.write_text(TURN)
    assert sniff(str(path)) == "thumos14-detections"
    (video,) = videos(path)
    assert video.segments.tolist() == [[62.8333333333, 64.6666666667], [70.7, 71.9]]
    assert video.scores.tolist() == [0.0925795, 0.0199445]
    assert video.labels is not None
    assert [video.names.names[number] for number in video.labels] == ["BasketballDunk", "HighJump"]
    (named,) = videos(path, classes={"dunk": 9, "jump": 40})
    assert named.names.names == ["dunk", "jump"]
    path.write_text(TURN + "video_test_0000896 1 2 8 0.5\n")
    with pytest.raises(DataError, match=r"turn\.txt:3: class 8 has no name"):
        videos(path)
    path.write_text(TURN + "video_test_0000896 1 2 9\n")
    with pytest.raises(DataError, match=r"turn\.txt:3: expected 'video start end class score'"):
        videos(path)


def folder_of(folder: Path, **tables: str) -> Path:
    folder.mkdir()
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


# The columns that github.com/JJBOY/BMN-Boundary-Matching-Network main.py writes, its spelling included.
BMN = (
    "xmin,xmax,xmin_score,xmax_score,clr_score,reg_socre,score\n0.25,0.5,0.9,0.8,0.5,0.5,0.18\n0.0,1.0,1,1,1,0.5,0.5\n"
)
# Those of gtad_inference.py in github.com/frostinassiky/gtad (frames, and a file for each window of a video).
GTAD = ("xmin,xmax,clr_score,reg_socre\n30.0,60.0,0.5,0.25\n", "xmin,xmax,clr_score,reg_socre\n1280.0,1300.0,0.5,1.0\n")
# Those of tools/bsn_proposal_generation.py in github.com/open-mmlab/mmaction2, written by numpy.savetxt.
MMACTION = (
    "tmin,tmax,tmin_score,tmax_score,score,match_iou,match_ioa\n"
    "2.500000000000000000e-01,5.000000000000000000e-01,9.0e-01,8.0e-01,7.2e-01,1.0e+00,1.0e+00\n"
)


def test_a_folder_of_bmn_has_shares_of_the_durations(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "BMN_results", v_abc=BMN)
    assert sniff(str(folder)) == "bmn"
    (video,) = videos(folder, durations={"abc": 20.0})
    assert (video.video_id, video.duration, video.labels) == ("abc", 20.0, None)
    assert video.segments.tolist() == [[5.0, 10.0], [0.0, 20.0]]
    assert video.scores.tolist() == [0.18, 0.5]
    assert videos(folder, durations={"v_abc": 10.0})[0].segments.tolist() == [[2.5, 5.0], [0.0, 10.0]]
    (folder / "v_abc.csv").rename(folder / "v_12.csv")
    assert videos(folder, durations={"12": 20.0})[0].video_id == "12"
    (folder / "v_12.csv").rename(folder / "v_abc.csv")
    # One of its files is as good.
    assert videos(folder / "v_abc.csv", durations={"abc": 20.0})[0].scores.tolist() == [0.18, 0.5]
    with pytest.raises(DataError, match=r"v_abc\.csv: times are shares .* duration of 'v_abc' is not known"):
        videos(folder)


def test_windows_of_gtad_become_one_video(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "results", video_test_0000004_0=GTAD[0], video_test_0000004_5=GTAD[1])
    (video,) = videos(folder, durations={"video_test_0000004": 33.7}, clock={"fps": 10.0})
    assert video.video_id == "video_test_0000004"
    assert video.segments.tolist() == [[3.0, 6.0], [128.0, 130.0]]
    assert video.scores.tolist() == [0.125, 0.5]
    with pytest.raises(DataError, match=r"_5\.csv: of video .*; windows of one are read in frames \(--fps\)"):
        videos(folder, durations={"video_test_0000004": 33.7})


def test_a_folder_of_mmaction_is_one_of_those(tmp_path: Path) -> None:
    (video,) = videos(folder_of(tmp_path / "pgm", v_a=MMACTION), durations={"v_a": 8.0})
    assert (video.segments.tolist(), video.scores.tolist()) == ([[2.0, 4.0]], [0.72])
    # The scores of single snippets that it writes in another step, with the same names of times.
    snippets = folder_of(tmp_path / "tem", v_a="action,start,end,tmin,tmax\n0.1,0.2,0.3,0.0,0.01\n")
    with pytest.raises(
        DataError, match=r"tem: looks like no known format: a folder of 1 \.csv; of folders are read: bmn"
    ):
        sniff(str(snippets))
    with pytest.raises(DataError, match=r"v_a\.csv:1: expected proposals, with columns xmin and xmax"):
        videos(snippets, "bmn", durations={"v_a": 8.0})


# What datasets/activitynet_dataset.py of some programs made from MMAction dumps: results without "results".
MMACTION_JSON = '{"v_1": [{"score": 0.9, "segment": [1.0, 2.5]}, {"score": 0.1, "segment": [2.0, 1.0]}], "v_2": []}'


def test_results_without_results_around_them_are_proposals(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(MMACTION_JSON)
    assert sniff(str(path)) == "bare-json"
    with pytest.raises(DataError, match=r"results\.json: video 'v_1': segment \[2\.0, 1\.0\] of proposal 2"):
        videos(path)
    first, second = videos(path, drop_invalid=True, durations={"v_2": 3.0})
    assert (first.segments.tolist(), first.scores.tolist(), first.labels) == ([[1.0, 2.5]], [0.9], None)
    assert (second.video_id, len(second), second.duration) == ("v_2", 0, 3.0)


def test_results_of_opentad_and_paddlevideo_are_activitynet_json(tmp_path: Path) -> None:
    # OpenTAD's result_detection.json has nothing beside "results"; PaddleVideo's has no label.
    path = tmp_path / "result_detection.json"
    path.write_text('{"results": {"v": [{"segment": [1.0, 2.0], "label": "Diving", "score": 0.5}]}}')
    assert sniff(str(path)) == "activitynet"
    assert videos(path)[0].segments.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("format_name", [None, "actionformer"])
def test_a_pickle_is_refused_with_a_way_out(protocol: int, format_name: str | None, tmp_path: Path) -> None:
    path = tmp_path / "eval_results.pkl"
    # What ActionFormer's evaluation leaves, but for arrays.
    path.write_bytes(pickle.dumps({"video-id": ["v"], "t-start": [1.0], "t-end": [2.0]}, protocol=protocol))
    if protocol == 1:  # Nothing tells these from other files.
        path.write_bytes(pickle.dumps({"video-id": ["v"]}, protocol=0))
    with pytest.raises(DataError, match=r"a pickle, which is not opened, .* json\.dump\(pickle\.load\(open\("):
        videos(path, format_name)


def test_the_way_out_of_a_pickle_leads_out(taltool: Run, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"results": {"v": [{"segment": [1.0, 2.0], "score": 0.5}]}}))
    told = taltool("convert", tmp_path / "x.pkl").stderr.decode()
    program = told.partition('python -c "')[2].partition('";')[0]
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert videos(tmp_path / "out.json")[0].scores.tolist() == [0.5]


def as_rows(found: list[VideoProposals]) -> dict[str, list[tuple[Any, ...]]]:
    rows = {}
    for video in found:
        assert video.labels is not None
        labels = [video.names.names[number] for number in video.labels.tolist()]
        rows[video.video_id] = sorted(zip(video.segments.tolist(), labels, video.scores.tolist(), strict=True))
    return rows


def test_published_detections_come_back_out_of_the_kits_text(shared: Path, tmp_path: Path) -> None:
    # The numbers of the classes are those of UCF-101's list in alphabetical order, in which these are 20 of 101.
    ucf101 = {"BaseballPitch": 7, "BasketballDunk": 9, "Billiards": 12, "CleanAndJerk": 21, "CliffDiving": 22}
    ucf101 |= {"CricketBowling": 23, "CricketShot": 24, "Diving": 26, "FrisbeeCatch": 31, "GolfSwing": 33}
    ucf101 |= {"HammerThrow": 36, "HighJump": 40, "JavelinThrow": 45, "LongJump": 51, "PoleVault": 68, "Shotput": 79}
    ucf101 |= {"SoccerPenalty": 85, "TennisSwing": 92, "ThrowDiscus": 93, "VolleyballSpiking": 97}
    expected = as_rows(videos(shared / "data" / "peer_outputs" / "thumos14_turn_c3d_scnn.json"))
    lines = [
        f"{video_id} {start!r} {end!r} {ucf101[label]} {score!r}\n"
        for video_id, rows in expected.items()
        for (start, end), label, score in rows
    ]
    (tmp_path / "detections.txt").write_text("".join(lines))
    found = as_rows(videos(tmp_path / "detections.txt"))
    assert found == expected
    assert (len(found), sum(map(len, found.values()))) == (213, 18_209)


# What mmaction2's ANetMetric.dump_results and PaddleVideo's BMN_Inference_helper write (both by their source).
@pytest.mark.parametrize(
    "document",
    [
        {"version": "VERSION 1.3", "results": {"x": [{"score": 0.5, "segment": [1.0, 2.5]}]}, "external_data": {}},
        {"x": [{"score": 0.5, "segment": [1.0, 2.5]}]},
    ],
)
def test_proposals_of_mmaction_and_paddlevideo(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(document))
    convert(tmp_path / "results.json", output=tmp_path / "o.csv")
    assert (tmp_path / "o.csv").read_text() == "video_id,start,end,score\nx,1.0,2.5,0.5\n"
