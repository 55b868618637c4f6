"""Tables as people have them: what parts the columns, which is what, and times as clocks show them."""

from pathlib import Path
from typing import Any

import pytest

from taltool.data.columns import seconds
from taltool.data.convert import convert
from taltool.data.formats.contract import Annotations, FormatOptions, Proposals
from taltool.data.formats.sniffing import open_content, sniff
from taltool.data.video_json import to_objects
from taltool.errors import DataError, UsageError


def written(folder: Path, text: str, name: str = "x.csv") -> str:
    (folder / name).write_bytes(text.encode())
    return str(folder / name)


def annotations(path: str, **options: Any) -> dict[str, list[tuple[float, float, str]]]:
    known = options.keys() & {"columns", "header"}
    with open_content(path, "csv" if known else None, FormatOptions(**options)) as content:
        assert isinstance(content, Annotations)
        return {
            video_id: [(*each["segment"], each["label"]) for each in entry["annotations"]]
            for video_id, entry in content.entries
        }


EXPECTED = {"v 1": [(1.5, 62.5, "run"), (2.0, 3.0, "a;b")], "w": [(0.0, 3723.25, "x,y")]}
SPELLINGS = {
    "taltool's own": ["video_id,start,end,label", "v 1,1.5,62.5,run", "v 1,2,3,a;b", 'w,0,3723.25,"x,y"'],
    "semicolons, clock": [
        "Video-ID;T-Start;T-End;Class",
        "v 1;0:01.5;1:02.5;run",
        'v 1;2;3;"a;b"',
        "w;0:00;1:02:03.25;x,y",
    ],
    "tabs, other order": [
        "action\tstop\tbegin\tyoutube_id",
        "run\t62.5\t1.5\tv 1",
        "a;b\t3\t2\tv 1",
        "x,y\t1:02:03.25\t0\tw",
    ],
    "numbers of pandas": [
        ",Vid,start_time,end_time,Category",
        "0,v 1,1.5,62.5,run",
        "1,v 1,2.0,3.0,a;b",
        '2,w,0.0,3723.25,"x,y"',
    ],
    "units, blanks": [
        "",
        '"Video Name","Start (s)", End [sec],activity',
        "v 1, 1.5 ,62.5, run",
        "",
        "v 1,2,3,a;b",
        ",,,",
        'w,0,3723.25,"x,y"',
    ],
    "byte order mark": [
        "\ufefffilename,start.time,end.time,label",
        "v 1,1.5,62.5,run",
        "v 1,2,3,a;b",
        'w,0,3723.25,"x,y"',
    ],
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_the_same_rows_are_read_from_every_spelling(name: str, end: str, tmp_path: Path) -> None:
    path = written(tmp_path, end.join([*SPELLINGS[name], ""]))
    assert sniff(path) == "csv"
    assert annotations(path) == EXPECTED


def test_the_user_says_which_column_is_which(tmp_path: Path) -> None:
    path = written(tmp_path, "clip,from,to,what,label\nv,1,2,run,me\n")
    said = {"video": "clip", "start": "from", "end": "to", "label": "what"}
    assert annotations(path, columns=said) == {"v": [(1, 2, "run")]}
    with pytest.raises(DataError, match=r"x.csv:1: no column 'clap' \(--columns video=clap; there are: clip, from"):
        annotations(path, columns=said | {"video": "clap"})
    with pytest.raises(UsageError, match=r"--columns film=\.\.\.: no such meaning; it is one of video, start"):
        annotations(path, columns={"film": "clip"})


def test_a_table_without_header_is_read_by_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, "run;v;1;2\nhop;v;3;4\n")
    said = {"video": "2", "start": "3", "end": "4", "label": "1"}
    assert annotations(path, columns=said, header=False) == {"v": [(1, 2, "run"), (3, 4, "hop")]}
    with pytest.raises(DataError, match=r"x.csv:1: no column of the end .*; say which with --columns end=NUMBER"):
        annotations(path, columns={"video": "2", "start": "3"}, header=False)


FOUR = "video,start,end,label\n"
REFUSED = {
    "two videos": ("video,vid,start,end,label\na,b,1,2,c\n", "'video' and 'vid' may both be the video; .* video="),
    "two labels": ("video,start,end,label,category\na,1,2,c,d\n", "'label' and 'category' may both be the label; "),
    "one name twice": ("video,start,start,end,label\na,1,1,2,c\n", "two columns 'start'"),
    "two delimiters": ("video;id,start\n", "commas or semicolons may part the columns"),
    "no rate": ("video,start_frame,end_frame,label\na,1,2,c\n", "'start_frame' and 'end_frame' are frames; .*--fps"),
    "percentages": ("video,start,end,score\na,1,2,95%\n", "x.csv:2: score '95%' is not a number; write shares, 0.95"),
    "a comma in a number": ("video;start;end;label\na;1,5;2;c\n", "x.csv:2: '1,5', '2' are not .*; write a point"),
    "seconds past the minute": (FOUR + "a,1:75,2:00,c\n", "x.csv:2: '1:75'"),
    "no id": (FOUR + ",1,2,c\n", "x.csv:2: no video id"),
    "too many fields": ("video\tstart\tend\tlabel\na\t1\t2\tc\td\n", "x.csv:2: 5 fields, expected 4 .* parted by tabs"),
    "two subsets": (
        "video,start,end,label,split\na,1,2,c,val\na,3,4,c,train\n",
        r"video 'a' is in 2 subsets: \['train', 'val'\]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_meant_otherwise_is_refused(name: str, tmp_path: Path) -> None:
    text, said = REFUSED[name]
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=said):
        annotations(path, header=True)


def test_frames_become_seconds_by_the_rate_and_seconds_go_before_them(tmp_path: Path) -> None:
    path = written(tmp_path, "video,start_frame,stop_frame,label\nv,30,75,run\n")
    assert annotations(path, clock={"fps": 30.0}) == {"v": [(1, 2.5, "run")]}
    path = written(tmp_path, "video,start_frame,stop_frame,label,start,end\nv,30,75,run,7,8\n")
    with open_content(path) as content:
        assert isinstance(content, Annotations)
        assert [entry["annotations"][0]["segment"] for _, entry in content.entries] == [[7, 8]]
        assert content.notes == ["the columns start_frame, stop_frame"]


def test_times_of_any_format_may_be_frames(tmp_path: Path) -> None:
    table = written(tmp_path, "video,start_frame,end_frame,score\nv,30,75,0.5\n")
    document = written(tmp_path, '{"results": {"v": [{"segment": [30, 75], "score": 0.5}]}}', "x.json")
    for path in (table, document):
        convert(path, output=tmp_path / "out.csv", times="frames", fps=30)
        assert (tmp_path / "out.csv").read_text() == "video_id,start,end,score\nv,1.0,2.5,0.5\n"
    with pytest.raises(UsageError, match="--times frames: how many frames a second"):
        convert(document, times="frames")


def test_subsets_come_from_a_column_and_go_into_one(tmp_path: Path) -> None:
    path = written(tmp_path, "video,start,end,label,Partition\nv,1,2,run,val\nw,1,2,run,\n")
    done = convert(path, output=tmp_path / "gt.json", durations={"v": 9, "w": 9})
    assert '"v":{"subset":"val"' in (tmp_path / "gt.json").read_text()
    done = convert(tmp_path / "gt.json", output=tmp_path / "out.tsv")
    assert done.lost == ("2 durations",)
    assert (
        tmp_path / "out.tsv"
    ).read_text() == "video_id\tstart\tend\tlabel\tsubset\nv\t1.0\t2.0\trun\tval\nw\t1.0\t2.0\trun\t\n"
    assert annotations(str(tmp_path / "out.tsv")) == {"v": [(1, 2, "run")], "w": [(1, 2, "run")]}


def test_scores_by_another_name_make_proposals(tmp_path: Path) -> None:
    path = written(tmp_path, "Name\tBegin\tEnd\tConf\nv\t0:01\t0:02\t0.25\n")
    with open_content(path) as content:
        assert isinstance(content, Proposals)
        assert [to_objects(video) for video in content.videos] == [[{"segment": [1.0, 2.0], "score": 0.25}]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("7", 7), ("1:02", 62), ("75:00", 4500), ("01:02:03", 3723), ("100:00:00.5", 360000.5),
     ("0:00.25", 0.25), ("1e2", 100)],
)  # fmt: skip
def test_a_clock_shows_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "1:2", "1:60", "1:60:00", "1:2:03", "-1:00", "1:00:00:00", "1_0", "1:0x", ":30", "1,5"]
)
def test_what_is_no_time_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        seconds(text)


def test_a_table_of_another_format_is_left_to_that(tmp_path: Path) -> None:
    """A format that knows a file better is meant, where the CSV could read it too."""
    from taltool.data.formats import FORMATS
    from taltool.data.formats.csv import Csv

    class Better(Csv):
        """It knows its own first line."""

        gives_way = False

        def recognises(self, opening: Any) -> bool:
            return opening.first_line() == "video_id,start,end,label,verb"

    FORMATS.register("better")(Better)
    try:
        assert sniff(written(tmp_path, "video_id,start,end,label,verb\n")) == "better"
        assert sniff(written(tmp_path, "video_id,start,end,label\n")) == "csv"
    finally:
        FORMATS._entries.pop("better")


def test_segments_by_their_length_where_the_user_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("video,start,duration,label\nv,10,5,run\nv,1:00,0:30,hop\n")
    convert(path, output=tmp_path / "o.csv", columns={"length": "duration"})
    assert (tmp_path / "o.csv").read_text().splitlines()[1:] == ["v,10.0,15.0,run", "v,60.0,90.0,hop"]
    path.write_text("video,start,end,label\nv,10,5,run\n")
    with pytest.raises(DataError, match=r"ends before it starts \(use --drop-invalid; if 'end' is a length: --columns"):
        convert(path, output=tmp_path / "o.csv")
    convert(path, output=tmp_path / "o.csv", columns={"length": "end"})
    assert (tmp_path / "o.csv").read_text().splitlines()[1:] == ["v,10.0,15.0,run"]
    path.write_text("video,start,end,len,label\nv,10,50,5,run\n")
    with pytest.raises(UsageError, match="both the end and the length of segments"):
        convert(path, output=tmp_path / "o.csv", columns={"end": "end", "length": "len"})
    path.write_text("video,start,len,label\nv,10,-5,run\n")
    with pytest.raises(DataError, match=r"segment \[10.0, 5.0\] ends before it starts \(use --drop-invalid\)"):
        convert(path, output=tmp_path / "o.csv", columns={"length": "len"})
