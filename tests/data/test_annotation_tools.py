"""What the formats of annotation tools share: names of media files, tiers, proposals that have scores."""

import json
from pathlib import Path

import numpy as np
import pytest
from project import Run
from test_odd_values import ODD, places, replaced

from taltool.data.convert import convert
from taltool.data.formats.annotation_tools import media_id
from taltool.data.formats.contract import Annotations, FormatOptions, Proposals
from taltool.data.formats.sniffing import format_named, open_content
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import DataError, TaltoolError, UsageError

PROJECTS = ["boris", "via", "labelstudio"]


def ground_truth(video_id: str, *rows: tuple[float, float, str]) -> Annotations:
    segments = [{"segment": [start, end], "label": label} for start, end, label in rows]
    return Annotations([(video_id, {"duration": 10.0, "annotations": segments})])


@pytest.mark.parametrize(
    ("name", "video_id"),
    [
        ("v_1.mp4", "v_1"),
        ("/home/me/my clip.en.mkv", "my clip.en"),
        ("C:\\videos\\v_1.avi", "v_1"),
        ("file:///C:/videos/my%20clip.mp4", "my clip"),
        ("https://host/a/v_1.mp4?token=x.y/z", "v_1"),
        ("s3://bucket/a/v_1.webm", "v_1"),
        # As Label Studio names files of its own folders, and those that are uploaded.
        ("/data/local-files/?d=clips/v_1.mp4", "v_1"),
        ("/data/upload/3/0a1b2c3d-v_1.mp4", "v_1"),
        ("/videos/0a1b2c3d-v_1.mp4", "0a1b2c3d-v_1"),
        ("https://host/v_1.mp4?id=3&v=4", "v_1"),
        ("https://www.youtube.com/watch?v=a-B_c.1&t=10", "a-B_c.1"),
        ("https://host/get.php?size=3&id=17", "17"),
        ("<video src='https://host/a/v_1.mp4?a=1&amp;b=2' width=100% muted /><img src onerror=\"x\">", "v_1"),
        ("v_1", "v_1"),
        ("50% of it.mp4", "50% of it"),
    ],
)
def test_a_video_is_called_as_its_file_without_folder_and_suffix(name: str, video_id: str) -> None:
    assert media_id(name, "f") == video_id


@pytest.mark.parametrize(
    "name",
    ["https://host/get?token=xy", "https://host?token=xy", "<img src='https://host/a.mp4'>", "https://[h/v.mp4", ""],
)
def test_what_names_no_file_is_no_video(name: str) -> None:
    with pytest.raises(DataError, match=r"^task 1: .* (names no file|is no address)"):
        media_id(name, "task 1")


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_says_where_the_videos_are_and_is_read_as_them(name: str, tmp_path: Path) -> None:
    path = tmp_path / "project"
    options = FormatOptions(media="https://host/clips/{}.webm")
    format_named(name).write(ground_truth("v_1", (1.0, 2.5, "Dive")), str(path), options)
    assert "https://host/clips/v_1.webm" in path.read_text()
    with open_content(str(path)) as content:
        assert isinstance(content, Annotations)
        ((video_id, entry),) = content.entries
    assert video_id == "v_1"
    assert entry["annotations"] == [{"segment": [1.0, 2.5], "label": "Dive"}]


@pytest.mark.parametrize("name", PROJECTS)
@pytest.mark.parametrize("video_id", ["dir/v_1", "a\\b", ""])
def test_a_video_whose_file_would_name_another_is_refused(name: str, video_id: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"project: video id .* cannot be that of the media file"):
        format_named(name).write(ground_truth(video_id), str(tmp_path / "project"), FormatOptions())
    with pytest.raises(UsageError, match=r"--media v\.mp4: no {} in it"):
        format_named(name).write(ground_truth("v"), str(tmp_path / "project"), FormatOptions(media="v.mp4"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", PROJECTS)
def test_videos_that_nobody_annotated_stay_and_empty_labels_are_refused(name: str, tmp_path: Path) -> None:
    format_named(name).write(ground_truth("v"), str(tmp_path / "project"), FormatOptions())
    with open_content(str(tmp_path / "project"), name) as content:
        assert isinstance(content, Annotations)
        assert [(video_id, entry["annotations"]) for video_id, entry in content.entries] == [("v", [])]
    with pytest.raises(DataError, match="video 'v': an empty label"):
        format_named(name).write(ground_truth("v", (1.0, 2.0, "")), str(tmp_path / "other"), FormatOptions())


@pytest.mark.parametrize("name", PROJECTS)
def test_scores_stay_and_the_best_proposal_is_first(name: str, tmp_path: Path) -> None:
    names = LabelVocabulary(["Dive", "Run"])
    segments = np.array([[4.0, 5.0], [2.0, 2.5], [1.0, 3.0]])
    video = VideoProposals("v", segments, np.array([2.0, 1 / 3, -1e-7]), np.array([1, 0, 0]), names)
    format_named(name).write(Proposals([video], names, 1), str(tmp_path / "project"), FormatOptions())
    with open_content(str(tmp_path / "project")) as content:
        assert isinstance(content, Proposals)
        (found,) = content.videos
    assert found.segments.tolist() == segments.tolist()
    assert found.scores.tolist() == [2.0, 1 / 3, -1e-7]
    assert [found.names.names[each] for each in found.labels] == ["Run", "Dive", "Dive"]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", PROJECTS)
def test_videos_without_proposals_are_no_ground_truth(name: str, tmp_path: Path) -> None:
    video = VideoProposals("v", np.empty((0, 2)), np.empty(0))
    format_named(name).write(Proposals([video]), str(tmp_path / "project"), FormatOptions())
    with open_content(str(tmp_path / "project")) as content:
        assert isinstance(content, Proposals)
        assert [(each.video_id, len(each)) for each in content.videos] == [("v", 0)]


@pytest.mark.parametrize("name", ["boris", "via"])
def test_proposals_without_labels_are_refused_where_everything_has_one(name: str, tmp_path: Path) -> None:
    video = VideoProposals("v", np.array([[1.0, 3.0]]), np.array([0.5]))
    with pytest.raises(DataError, match=r"proposals without labels \(see taltool label\)"):
        format_named(name).write(Proposals([video]), str(tmp_path / "project"), FormatOptions())


@pytest.mark.parametrize("name", [*PROJECTS, "elan"])
def test_a_tier_that_is_not_there_is_refused_with_those_that_are(name: str, tmp_path: Path) -> None:
    format_named(name).write(ground_truth("v", (1.0, 2.0, "Dive")), str(tmp_path / "v"), FormatOptions())
    with pytest.raises(
        DataError, match=r"no (observation|attribute|control|tier) 'x' with segments; there are: '\w+' "
    ):
        convert(tmp_path / "v", output=tmp_path / "a.csv", tier="x")
    assert convert(tmp_path / "v", output=tmp_path / "a.csv").kind == "annotations"


@pytest.mark.parametrize("name", PROJECTS)
@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_file_that_is_cut_short_is_refused_with_its_line(name: str, cut: float, tmp_path: Path) -> None:
    path = tmp_path / "project"
    format_named(name).write(ground_truth("v", (1.0, 2.0, "Dive")), str(path), FormatOptions())
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    with pytest.raises(DataError, match=r"project:\d+: not JSON"), open_content(str(path), name):
        pass


def test_the_command_line_takes_tiers_and_tells_tools_where_the_videos_are(taltool: Run, tmp_path: Path) -> None:
    rows = (1.0, 2.0, "Dive"), (1.5, 2.5, "Run")
    format_named("elan").write(ground_truth("v", *rows), str(tmp_path / "v.eaf"), FormatOptions())
    words = ["convert", tmp_path / "v.eaf", "--tier", "segments 2", "--tier-labels"]
    project = taltool(*words, "--to", "via", "--media", "https://host/{}.mp4", "-o", tmp_path / "p.json")
    assert (project.returncode, project.stderr) == (0, b"")
    assert '"src":"https://host/v.mp4"' in (tmp_path / "p.json").read_text()
    table = taltool("convert", tmp_path / "p.json", "--to", "csv")
    assert table.stdout.splitlines() == [b"video_id,start,end,label", b"v,1.5,2.5,segments 2"]


@pytest.mark.parametrize("name", PROJECTS)
def test_whatever_stands_where_something_else_belongs_is_read_or_refused_in_words(name: str, tmp_path: Path) -> None:
    path = tmp_path / "project"
    format_named(name).write(ground_truth("v", (1.0, 2.0, "Dive")), str(path), FormatOptions())
    project = json.loads(path.read_text())
    refused = 0
    for place in places(project):
        for odd in ODD:
            path.write_text(json.dumps(replaced([project], (0, *place), odd)[0]))
            try:
                with open_content(str(path), name, FormatOptions(drop_invalid=True)) as content:
                    list(content.entries if isinstance(content, Annotations) else content.videos)  # type: ignore[union-attr]
            except TaltoolError:
                refused += 1
    assert refused > 20
