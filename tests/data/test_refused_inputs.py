"""Numbers that are none, labels without a name and texts of other encodings are refused wherever they come in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project import Run

from taltool.data.convert import convert
from taltool.data.proposal_writer import ProposalWriter
from taltool.data.proposals import ProposalReader
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.data.sidecars import read_durations
from taltool.errors import DataError
from taltool.inspection.check import check
from taltool.inspection.info import info
from taltool.postprocessing.label import label

HEADER = '{"taltool": {"kind": "proposals", "version": 2, "videos": 1, "classes": ["a"]}}\n'
END = '\n{"end": {"videos": 1}}\n'
# Each with the places of start, score, and label.
INPUTS = {
    "CSV": "video_id,start,end,label,score\nv,%s,9,%s,%s\n",
    "results": '{"results": {"v": [{"segment": [%s, 9], "label": %s, "score": %s}]}}',
    "actionformer": '{"database": {"v": [{"segment": [%s, 9], "label_id": %s, "scores": %s}]}}',
    "version 1": '{"video_id": "v", "proposals": [{"segment": [%s, 9], "label": %s, "score": %s}]}\n',
    "version 2": HEADER + '{"video_id": "v", "segments": [[%s, 9]], "labels": [%s], "scores": [%s]}' + END,
    "lines of version 2": '{"video_id": "v", "segments": [[%s, 9]], "labels": [%s], "scores": [%s]}\n',
}
LABELS = {"CSV": "a", "actionformer": "0", "version 2": "0"}
NO_NUMBERS = [
    "nan",
    "NaN",
    "-nan",
    "inf",
    "Infinity",
    "-Infinity",
    "1e999",
    "null",
    '"1"',
    "true",
    "[]",
    "{}",
    '"nan"',
    "",
]


def converted(text: str | bytes, folder: Path, to: str | None = None, *, drop_invalid: bool = False) -> str:
    """The stream, or the file in the format `to`, that the text becomes; where it is refused, no file is there."""
    source, target = folder / "input", folder / "output.jsonl"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        convert(
            str(source),
            output=str(target),
            target=to,
            classes={"a": 0},
            drop_invalid=drop_invalid,
            provenance=False,
        )
    except DataError:
        assert not target.exists()
        raise
    return target.read_text()


@pytest.mark.parametrize("name", INPUTS)
def test_input_is_read_where_all_is_well(name: str, tmp_path: Path) -> None:
    stream = converted(INPUTS[name] % (1, LABELS.get(name, '"a"'), 0.5), tmp_path)
    assert '{"video_id":"v","segments":[[1.0,9.0]],"scores":[0.5],"labels":[0]}' in stream
    assert '"classes":["a"]' in stream


@pytest.mark.parametrize("spelling", NO_NUMBERS)
@pytest.mark.parametrize("name", INPUTS)
def test_what_is_no_finite_number_is_refused_as_score_and_as_time(name: str, spelling: str, tmp_path: Path) -> None:
    if (name, spelling) == ("CSV", '"1"'):
        return  # Quotes of a CSV are no part of the field.
    label = LABELS.get(name, '"a"')
    for fields in ((1, label, spelling), (spelling, label, 0.5)):
        with pytest.raises(DataError, match="input"):
            converted(INPUTS[name] % fields, tmp_path)


@pytest.mark.parametrize("name", INPUTS)
def test_segment_that_ends_before_it_starts_is_refused_or_dropped(name: str, tmp_path: Path) -> None:
    text = INPUTS[name] % ("9.5", LABELS.get(name, '"a"'), 0.5)
    with pytest.raises(DataError, match=r"input.*segment \[9\.5, 9(\.0)?\].* ends before it starts"):
        converted(text, tmp_path)
    assert '"segments":[]' in converted(text, tmp_path, drop_invalid=True) or name == "CSV"


@pytest.mark.parametrize("label", ["1", "-1", "18446744073709551615", "1e3", "0.5", "true", "[]", "{}"])
@pytest.mark.parametrize("name", [name for name in INPUTS if name != "CSV"])
def test_label_without_a_name_is_refused(name: str, label: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"input.*video 'v'.*label"):
        converted(INPUTS[name] % (1, label, 0.5), tmp_path)


@pytest.mark.parametrize("duration", ["0", "-1", "true", '"9 s"', "[9]", "1e999", "NaN"])
def test_duration_that_is_no_positive_number_is_refused(duration: str, tmp_path: Path) -> None:
    for to, text in (
        ("jsonl", '{"video_id": "v", "duration": %s, "segments": [], "scores": []}\n'),
        ("jsonl1", '{"results": {"v": []}, "external_data": {"durations": {"v": %s}}}'),
        ("activitynet", '{"database": {"v": {"duration": %s, "annotations": []}}}'),
    ):
        assert converted(text % "9.5", tmp_path, to=to)
        (tmp_path / "output.jsonl").unlink()
        with pytest.raises(DataError, match="input"):
            converted(text % duration, tmp_path, to=to)


ONE = np.ones(1)
BROKEN: dict[str, dict[str, Any]] = {
    "score": {"scores": np.array([np.nan])},
    "infinite score": {"scores": np.array([-np.inf])},
    "segment": {"segments": np.array([[0, np.nan]])},
    "infinite segments": {"segments": np.array([[-np.inf, np.inf]])},
    "backwards": {"segments": np.array([[2.0, 1.0]])},
    "label past the names": {"labels": np.array([1])},
    "label below": {"labels": np.array([-1])},
    "columns that differ in length": {"labels": np.array([0, 0])},
    **{f"duration {each}": {"duration": each} for each in (0, -1.0, np.nan, np.inf, True, "9")},
}


@pytest.mark.parametrize("what", BROKEN)
def test_proposals_that_nobody_could_read_cannot_be_made(what: str) -> None:
    facts: dict[str, Any] = {
        "segments": np.array([[1e14, 9e14]]),
        "scores": np.array([1e99]),
        "labels": np.array([0]),
    }
    names = LabelVocabulary(["a"])
    assert len(VideoProposals("v", **facts, names=names, duration=9)) == 1
    with pytest.raises(DataError, match="video 'v'"):
        VideoProposals("v", **facts | BROKEN[what], names=names)
    with pytest.raises(DataError, match="7 is not a name"):
        LabelVocabulary([7])  # type: ignore[list-item]


@pytest.mark.parametrize("layout", ["jsonl", "jsonl1", "activitynet"])
def test_numbers_of_numpy_are_written_as_any_others(layout: str, tmp_path: Path) -> None:
    with ProposalWriter(str(tmp_path / "a"), layout=layout) as writer:  # type: ignore[arg-type]
        writer.write(VideoProposals("v", np.array([[1, 2]]), np.array([3]), duration=np.float64(9)))
    with ProposalReader(str(tmp_path / "a")) as reader:
        (video,) = reader
    assert (video.segments.tolist(), video.scores.tolist(), video.duration) == ([[1.0, 2.0]], [3.0], 9.0)


def test_score_of_not_a_number_is_refused_on_the_command_line(taltool: Run, tmp_path: Path) -> None:
    table = "video_id,start,end\nv,1,2\n"
    result = taltool("convert", "-", "--score", "nan", "-o", tmp_path / "d.jsonl", stdin=table.encode())
    assert (result.returncode, list(tmp_path.iterdir())) == (2, [])


# Labels as a spreadsheet saves them in China, Japan, and western Europe; the rows are of two classes.
@pytest.mark.parametrize(
    ("encoding", "labels"), [("gbk", "跳远射门"), ("shift_jis", "跳ぶ走る"), ("latin-1", "Ä1é2"), ("utf-16", "ab12")]
)
def test_table_in_another_encoding_is_refused_by_name(encoding: str, labels: str, tmp_path: Path) -> None:
    table = f"video_id,start,end,label\nv,1,2,{labels[:2]}\nv,1,2,{labels[2:]}\n"
    with pytest.raises(DataError, match=r"UTF-8.*iconv|UTF-16.*iconv"):
        converted(table.encode(encoding), tmp_path)
    folder = tmp_path / "th"
    folder.mkdir()
    (folder / "Dive_val.txt").write_bytes("vidéo 1 2\nvidèo 1 2\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"Dive_val\.txt:1: not UTF-8"):
        convert(str(folder), output=str(tmp_path / "gt.csv"), source="thumos14")


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n", "\n\n", "\r\n\r\n"])
def test_every_line_end_is_one(end: str, tmp_path: Path) -> None:
    lines = "video_id,start,end,score", "v,1,2,.5", "w,1,2,.5"
    assert converted(end.join(lines), tmp_path).count('"segments":[[1.0,2.0]]') == 2
    (tmp_path / "d.csv").write_bytes(end.join(("video_id,duration", "v,3", "w,4")).encode())
    assert read_durations(str(tmp_path / "d.csv")) == {"v": 3.0, "w": 4.0}


@pytest.mark.parametrize(
    "content", [b"MATLAB 5.0\rx,y\r" * 9, b'\0\0\0\x18ftypmp42\r\n"', b'RIFF\r"\r', b'\x1aE\xdf\xa3\r,"\n']
)
def test_file_of_another_kind_is_told_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    for use in (info, lambda path: converted(content, tmp_path)):
        with pytest.raises(DataError, match=r"looks like no known format|: a video \("):
            use(str(tmp_path / "x"))
    found = check(str(tmp_path / "x"))
    assert not found.is_whole
    assert "looks like no known format" in found.summary or "a video (" in found.summary


NOT_CLASS_SCORES = {
    "numbers for labels": '{"results": {"v": [{"label": 133, "score": 0.3}]}}',
    "texts of numbers beside": '{"v": [{"label": "a", "score": 0.2}, {"label": 7, "score": 0.1}]}',
    "null": '{"v": [{"label": null, "score": 0.5}]}',
    "negative": '{"v": [{"label": "a", "score": -0.1}]}',
    "no score": '{"v": [{"label": "a"}]}',
    "a text for a score": '{"v": [{"label": "a", "score": "0.5"}]}',
}


@pytest.mark.parametrize("what", NOT_CLASS_SCORES)
def test_class_scores_without_names_or_shares_write_nothing(what: str, tmp_path: Path) -> None:
    (tmp_path / "p").write_text('{"results": {"v": [{"segment": [1, 2], "score": 0.5}]}}')
    (tmp_path / "c").write_text(NOT_CLASS_SCORES[what])
    with pytest.raises(DataError, match="/c"):
        label(str(tmp_path / "p"), output=str(tmp_path / "o"), classifier=str(tmp_path / "c"))
    assert not (tmp_path / "o").exists()


CASES = {
    "02": (
        ["convert gt.csv --durations durations.csv -o OUT.json", "convert th --from thumos14 --to csv"],
        "not UTF-8",
    ),
    "04": (["convert d.csv -o OUT.jsonl", "convert af.json --classes classes.txt"], "not a finite number|not JSON"),
    "05": (
        [f"label proposals.json --classifier {name}.json -o OUT.jsonl" for name in ("numbers", "null")],
        "label|name",
    ),
    "08": (["info head-of-test_set_meta.mat", "check head-of-test_set_meta.mat"], "looks like no known format"),
}


@pytest.mark.parametrize("number", CASES)
def test_reported_case_is_refused_in_one_line(number: str, shared: Path, taltool: Run, tmp_path: Path) -> None:
    (case,) = (shared / "cases").glob(f"{number}-*")
    commands, expected = CASES[number]
    for command in commands:
        result = taltool(*command.replace("OUT", f"{tmp_path}/out").split(), cwd=case)
        told = (result.stdout + result.stderr).decode()
        assert (result.returncode, list(tmp_path.iterdir())) == (3, [])
        assert any(part in told for part in expected.split("|")), told
        assert "Traceback" not in told
    for use in ("info", "check") if number == "08" else ():
        assert taltool(use, "oldmac.csv", cwd=case).returncode == 0
