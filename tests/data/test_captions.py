"""Subtitles and labels: what real parsers see, what is read back, and what overlapping events become."""

import html
import os
import re
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strange_contents import AWKWARD

from taltool.data.convert import convert
from taltool.data.formats.captions import Cue
from taltool.data.formats.contract import Annotations, Content, FormatOptions, Proposals
from taltool.data.formats.output import for_output, write_proposals
from taltool.data.formats.sniffing import format_named, open_content, sniff
from taltool.data.formats.srt import stacked, united
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.reporting import Reporter

Rows = list[tuple[float, float, str]]
SHOWN = FormatOptions(show_scores=True)


def annotations(rows: Rows, video_id: str = "v") -> Annotations:
    segments = [{"segment": [start, end], "label": label} for start, end, label in rows]
    return Annotations([(video_id, {"annotations": segments})])


def detections(rows: list[tuple[float, float, str | None, float]], *video_ids: str) -> Proposals:
    """The same detections (or proposals, where a label is None) for each video."""
    names = LabelVocabulary([label for _, _, label, _ in rows if label is not None])
    labels = names.numbered([label for _, _, label, _ in rows if label is not None]) if names.names else None
    segments, scores = np.array([row[:2] for row in rows]).reshape(-1, 2), np.array([row[3] for row in rows])
    videos = [VideoProposals(each, segments, scores, labels, names) for each in video_ids or ("v",)]
    return Proposals(videos, names, len(videos))


def written(content: Content, path: Path, options: FormatOptions = FormatOptions()) -> str:
    format_named(for_output(str(path), content.kind)).write(content, str(path), options)
    return path.read_text()


def read(path: Path, options: FormatOptions | None = None) -> list[tuple[Any, ...]]:
    """(start, end, label) of annotations, (start, end, label, score) of proposals."""
    with open_content(str(path), options=options) as content:
        if isinstance(content, Annotations):
            ((_, entry),) = content.entries
            return sorted((*each["segment"], each["label"]) for each in entry["annotations"])
        assert isinstance(content, Proposals)
        (video,) = content.videos
        labels = [None] * len(video) if video.labels is None else [video.names.names[each] for each in video.labels]
        return sorted(zip(*video.segments.T.tolist(), labels, video.scores.tolist(), strict=True))


OVERLAPPING: Rows = [(1.0, 4.0, "Dive"), (2.5, 3.0, "Run & <jump>"), (100 * 3600.0, 100 * 3600 + 1.5, "Dive")]


def test_a_real_parser_of_webvtt_sees_the_events(tmp_path: Path) -> None:
    webvtt = pytest.importorskip("webvtt")
    written(annotations(OVERLAPPING), tmp_path / "v.vtt")
    found = [(cue.start, cue.end, html.unescape(cue.raw_text)) for cue in webvtt.read(tmp_path / "v.vtt")]
    assert found == [
        ("00:00:01.000", "00:00:04.000", "Dive"),
        ("00:00:02.500", "00:00:03.000", "Run & <jump>"),
        ("100:00:00.000", "100:00:01.500", "Dive"),
    ]


def test_a_real_parser_of_subrip_sees_cues_that_do_not_overlap(tmp_path: Path) -> None:
    srt = pytest.importorskip("srt")
    text = written(annotations(OVERLAPPING), tmp_path / "v.srt")
    found = [(cue.index, cue.start.total_seconds(), cue.end.total_seconds(), cue.content) for cue in srt.parse(text)]
    assert found == [
        (1, 1.0, 2.5, "Dive"),
        (2, 2.5, 3.0, "Dive\nRun & <jump>"),
        (3, 3.0, 4.0, "Dive"),
        (4, 360000.0, 360001.5, "Dive"),
    ]
    assert srt.compose(srt.parse(text, ignore_errors=False), reindex=False) == text


words = [*AWKWARD, "a", " ", "<b>", "&amp;", "a (1)", "(0.5)", "-->", "NOTE"]
labels = st.lists(st.sampled_from(words), max_size=4).map("".join)
times = st.floats(0, 1e5) | st.sampled_from([0.0, 5e-324, 1 / 3, 0.0005, 0.9995, 59.9999, 3599.9996, 1e9])
segments = st.lists(times, min_size=2, max_size=2).map(sorted)
drawn_rows = st.lists(st.tuples(segments, labels), max_size=4).map(lambda rows: [(*pair, text) for pair, text in rows])


@pytest.mark.parametrize("suffix", [".vtt", ".txt"])
def test_events_are_read_as_they_were_written_or_refused(suffix: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    resolution = 0.001 if suffix == ".vtt" else 0.0

    @settings(deadline=None, max_examples=150)
    @given(drawn_rows)
    def run(rows: Rows) -> None:
        path = tmp_path_factory.mktemp("captions") / f"v{suffix}"
        try:
            written(annotations(rows), path)
        except DataError:
            assert not path.exists()
            assert not all(re.fullmatch(r"\w+( \(\d+\))?", label, re.ASCII) for _, _, label in rows)
            return
        with open_content(str(path), sniff(str(path)) if rows else for_output(str(path), "annotations")) as content:
            assert isinstance(content, Annotations)
            ((video_id, entry),) = content.entries
        assert video_id == "v"
        found = [(*each["segment"], each["label"]) for each in entry["annotations"]]
        assert Counter(label for *_, label in found) == Counter(label for *_, label in rows)
        for label in {label for *_, label in rows}:
            mine, theirs = (sorted(row[:2] for row in every if row[2] == label) for every in (found, rows))
            if not resolution:
                assert mine == theirs
            # Segments that differ by less may change places: starts and ends are compared each for themselves.
            differences = np.sort(np.array(mine), axis=0) - np.sort(np.array(theirs), axis=0)
            assert np.abs(differences).max() <= resolution * 1.001

    run()


def shown_at(moment: float, rows: list[tuple[int, int, str]]) -> set[str]:
    return {text for start, end, text in rows if start < moment < end}


few = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6), st.sampled_from("abc")), max_size=8)


@settings(deadline=None)
@given(few)
def test_cues_show_at_every_moment_what_runs_then(drawn: list[tuple[int, int, str]]) -> None:
    rows = [(start, start + length, text) for start, length, text in drawn]
    cues = list(stacked(united([Cue(start, end, [text]) for start, end, text in rows])))
    assert all(before.end <= after.start for before, after in pairwise(cues))
    for moment in np.arange(0.25, 20, 0.5):
        now = [cue.lines for cue in cues if cue.start < moment < cue.end]
        expected = shown_at(moment, rows)
        assert now == [] if not expected else (len(now) == 1 and Counter(now[0]) == Counter(expected))


@settings(deadline=None, max_examples=60)
@given(few)
def test_subrip_is_read_as_the_time_that_each_text_covers(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("srt")
    rows = [(start, start + length, text) for start, length, text in drawn]
    lost = format_named("srt").write(annotations([(a / 8, b / 8, c) for a, b, c in rows]), str(folder / "v.srt"), SHOWN)
    with open_content(str(folder / "v.srt"), "srt") as content:
        assert isinstance(content, Annotations)
        ((_, entry),) = content.entries
    found = [(each["segment"][0] * 8, each["segment"][1] * 8, each["label"]) for each in entry["annotations"]]
    for moment in np.arange(0.25, 20, 0.5):
        assert shown_at(moment, found) == shown_at(moment, rows)
    # Nothing is united that is apart, and what is united is said.
    pieces = {(text, number) for text in "abc" for number in range(20) if {text} <= shown_at(number + 0.5, rows)}
    begins = [(text, number) for text, number in pieces if (text, number - 1) not in pieces]
    assert len(found) == len(begins)
    said = f"{len(rows) - len(found)} boundaries of segments that touch or overlap others of their label"
    assert lost == ([said] if len(found) < len(rows) else [])


def test_lines_stand_in_order_of_start_and_zero_length_lasts_a_millisecond(tmp_path: Path) -> None:
    text = written(annotations([(2.0, 2.0, "b"), (1.0, 3.0, "z"), (1.5, 2.5, "a")]), tmp_path / "v.srt")
    assert text.split("\n\n")[2] == "3\n00:00:02,000 --> 00:00:02,001\nz\na\nb"


@pytest.mark.parametrize("suffix", [".vtt", ".srt"])
def test_times_before_the_video_begin_with_it_and_are_counted(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"v{suffix}"
    lost = format_named(suffix[1:]).write(annotations([(-1.0, 2.0, "a"), (-2.0, -1.0, "b")]), str(path), SHOWN)
    assert lost == ["2 times before 0"]
    assert read(path) == [(0.0, 2.0, "a")]  # The other was over before the video began.


@pytest.mark.parametrize("suffix", [".vtt", ".srt", ".txt"])
def test_scores_stand_behind_the_label_by_option_and_are_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"v{suffix}"
    content = detections([(1.0, 2.0, "Dive", 0.93), (3.0, 4.0, "Run (2)", -1e-07)])
    assert "Dive (0.93)\n" in written(content, path, SHOWN)
    assert read(path) == [(1.0, 2.0, "Dive", 0.93), (3.0, 4.0, "Run (2)", -1e-07)]
    written(detections([(1.0, 2.0, "Dive", 0.93)]), path)
    assert read(path) == [(1.0, 2.0, "Dive")]
    assert read(path, FormatOptions(score=0.5)) == [(1.0, 2.0, "Dive", 0.5)]


@pytest.mark.parametrize("suffix", [".vtt", ".srt", ".txt", ".eaf"])
def test_a_name_that_ends_with_a_whole_number_is_a_label_with_and_without_scores(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"v{suffix}"
    written(annotations([(1.0, 2.0, "Jump (1)"), (3.0, 4.0, "Jump (2)")]), path)
    assert read(path) == [(1.0, 2.0, "Jump (1)"), (3.0, 4.0, "Jump (2)")]
    rows = [(1.0, 2.0, "Jump (1)", 1.0), (3.0, 4.0, "Jump (2)", 1e-05), (5.0, 6.0, "Jump (2)", 1e22)]
    written(detections(rows), path, SHOWN)
    assert read(path) == rows


def test_proposals_without_labels_are_told_by_their_scores(tmp_path: Path) -> None:
    content = detections([(1.0, 2.0, None, 0.123456), (1.5, 4.0, None, 0.25)])
    assert format_named("vtt").write(content, str(tmp_path / "v.vtt"), FormatOptions()) == [
        "the scores beyond three digits"
    ]
    assert read(tmp_path / "v.vtt") == [(1.0, 2.0, None, 0.123), (1.5, 4.0, None, 0.25)]


@pytest.mark.parametrize("suffix", [".vtt", ".srt", ".txt"])
@pytest.mark.parametrize("label", ["", " a", "a\nb", "a\rb", "a\u2028b", "a\0", "a\tb", "Run (2.0)"])
def test_a_label_that_would_be_read_otherwise_is_refused(suffix: str, label: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.\w+: label .* (fit into this format|be read as one with a score)"):
        written(annotations([(1.0, 2.0, label)]), tmp_path / f"v{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_an_arrow_is_escaped_where_it_can_be_and_refused_where_not(tmp_path: Path) -> None:
    assert "a --&gt; b\n" in written(annotations([(1.0, 2.0, "a --> b")]), tmp_path / "v.vtt")
    with pytest.raises(DataError, match="label 'a --> b' does not fit into this format: no -->"):
        written(annotations([(1.0, 2.0, "a --> b")]), tmp_path / "v.srt")


THEIRS = """WEBVTT - made by somebody
Kind: captions

NOTE a comment
of two lines

STYLE
::cue { color: red }

first
00:01.000 --> 01:02.500 align:start position:10%
<v Ann><b>Dive</b> &amp; swim</v>
Run

100:00:00.000 --> 100:00:00.500
Dive
"""


def test_markup_of_subrip_is_no_part_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "v.srt"
    cues = ["{\\an8}<i>Dive</i>", '<font color="#ffff00">Swim</font>\n{\\an8}', "a < b > c <3 {x}"]
    path.write_text("".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},500\n{text}\n\n" for n, text in enumerate(cues)))
    convert(path, output=tmp_path / "x.csv")
    rows = [line.split(",") for line in (tmp_path / "x.csv").read_text().splitlines()[1:]]
    assert [row[3] for row in rows] == ["Dive", "Swim", "a < b > c <3 {x}"]
    (tmp_path / "gt.csv").write_text("video,start,end,label\nv,1,2,<b>run\n")
    with pytest.raises(DataError, match="label '<b>run' does not fit into this format: no --> and no markup in it"):
        convert(tmp_path / "gt.csv", output=tmp_path / "y.srt")


def test_subtitles_of_others_are_read_without_markup_settings_and_comments(tmp_path: Path) -> None:
    (tmp_path / "my clip.en.vtt").write_text(f"\ufeff{THEIRS}".replace("\n", "\r\n"))
    assert read(tmp_path / "my clip.en.vtt") == [
        (1.0, 62.5, "Dive & swim"),
        (1.0, 62.5, "Run"),
        (360000.0, 360000.5, "Dive"),
    ]
    with open_content(str(tmp_path / "my clip.en.vtt")) as content:
        assert isinstance(content, Annotations)
        assert [video_id for video_id, _ in content.entries] == ["my clip.en"]


def test_subtitles_that_youtube_makes_are_read_without_the_times_of_words(tmp_path: Path) -> None:
    # As yt-dlp saves automatic captions: a line of one blank, which ends no cue, and words with their times.
    (tmp_path / "v.vtt").write_text(
        "WEBVTT\nKind: captions\nLanguage: en\n\n"
        "00:00:00.080 --> 00:00:02.070 align:start position:0%\n \nhello<00:00:00.500><c> big</c><c> world</c>\n\n"
        "00:00:02.070 --> 00:00:02.080 align:start position:0%\nhello big world\n \n\n"
    )
    assert read(tmp_path / "v.vtt") == [(0.08, 2.07, "hello big world"), (2.07, 2.08, "hello big world")]


@pytest.mark.parametrize("suffix", [".vtt", ".srt"])
def test_subtitles_of_a_video_without_segments_are_told_by_their_content(suffix: str, tmp_path: Path) -> None:
    written(annotations([]), tmp_path / f"v{suffix}")
    assert sniff(str(tmp_path / f"v{suffix}")) == suffix[1:]
    assert read(tmp_path / f"v{suffix}") == []


@pytest.mark.parametrize("times", ["00:00:60,000 --> 00:01:02,500", "-00:00:01,0 --> 00:00:02,5", "1 --> 2"])
def test_subrip_with_times_that_are_none_is_told_with_the_line(times: str, tmp_path: Path) -> None:
    (tmp_path / "v.srt").write_text(f"1\n{times}\nrun\n")
    with pytest.raises(DataError, match=r"v\.srt:2: expected the times of a cue, 00:00:01.000 --> 00:00:02.500, found"):
        read(tmp_path / "v.srt")


def test_labels_of_audacity_are_read_without_their_frequencies(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("2.150000\t2.150000\tpoint\n3.400000\t6.100000\ta region\n\\\t6928.45\t6928.45\n")
    assert read(tmp_path / "v.txt") == [(2.15, 2.15, "point"), (3.4, 6.1, "a region")]
    assert convert(tmp_path / "v.txt", output=tmp_path / "v.csv").left_out == ("1 frequency ranges",)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("v.vtt", "WEBVTT\n\n00:01.000 -> 00:02.000\nDive\n", r"v\.vtt:4: expected the times of a cue"),
        ("v.vtt", "WEBVTT\n\n00:03.000 --> 00:02.000\nDive\n", r"v\.vtt:3: segment \[3.0, 2.0\] ends before it starts"),
        ("v.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n\n", r"v\.vtt:3: no label"),
        ("v.srt", "1\n00:00:01,000 --> 00:00:02,000\nDive\n\nmore\n", r"v\.srt:5: expected the times of a cue"),
        ("v.srt", f"1\n{'9' * 19}:00:01,000 --> {'9' * 20}:00:02,000\nDive\n", r"v\.srt:2: .* later than any video"),
        ("v.txt", "1.0\t2.0\tDive\n3.0 4.0 Run\n", r"v\.txt:2: expected START, END and LABEL"),
        ("v.txt", "1.0\t2.0\tDive\n3.0\tx\tRun\n", r"v\.txt:2: '3.0', 'x' are not start and end"),
        ("v.txt", "1.0\t2.0\tDive (0.5)\n3.0\t4.0\t(0.5)\n", r"v\.txt:2: some proposals have a label and some"),
    ],
)
def test_broken_captions_are_named_with_their_line(name: str, text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=complaint):
        read(tmp_path / name)


def test_a_segment_that_no_video_reaches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.vtt: a segment ends at 1e\+300 seconds, too late"):
        written(annotations([(1.0, 1e300, "a")]), tmp_path / "v.vtt")


def test_a_file_without_a_name_is_no_video() -> None:
    with pytest.raises(DataError, match="-: in this format the name of the file is that of the video"):
        format_named("vtt").read("-", FormatOptions()).__enter__()


class Heard(Reporter):
    def __init__(self) -> None:
        self.told: list[str] = []

    def warn(self, message: str) -> None:
        self.told.append(message)

    def note(self, message: str) -> None:
        self.told.append(message)


def test_several_videos_do_not_fit_into_one_file_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"v\.vtt: several videos, .* give -o FOLDER/"):
        write_proposals(detections([(1.0, 2.0, "a", 0.5)], "v", "w"), str(tmp_path / "v.vtt"), None)
    with pytest.raises(DataError, match=r"v\.vtt: no video"):
        write_proposals(Proposals([]), str(tmp_path / "v.vtt"), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "names"),
    [
        ("vtt", ["deep/w.vtt", "v.vtt"]),
        ("audacity", ["deep/w.txt", "v.txt"]),
        ("csv", ["deep/w.csv", "v.csv"]),
        ("jsonl", ["deep/w.jsonl", "v.jsonl"]),
        ("activitynet", ["deep/w.json", "v.json"]),
        ("jsonl1", ["deep/w", "v"]),
    ],
)
def test_a_folder_gets_a_file_for_each_video_in_any_format(to: str, names: list[str], tmp_path: Path) -> None:
    heard = Heard()
    for _ in range(2):  # Into a new folder, then over the files that are there.
        content = detections([(1.0, 2.0, "a", 0.5)], "v", "deep/w")
        content.provenance = [{"tool": "t"}]
        write_proposals(content, f"{tmp_path}/out/", to, SHOWN, reporter=heard)
        files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
        assert files == names if to != "jsonl1" else not files
    for name in names:
        assert read(tmp_path / "out" / name) == [(1.0, 2.0, "a", 0.5)]
    lossy = to in ("vtt", "audacity", "csv")
    # The name of a file alone is read as the id, w.
    ids = "; 1 ids that are not the name of their file, which is read as the id" if to in ("vtt", "audacity") else ""
    assert heard.told == [f"{tmp_path}/out/: the format {to} does not hold the provenance{ids}"] * 2 * lossy


@pytest.mark.parametrize("suffix", [".vtt", ".srt", ".txt", ".eaf"])
def test_an_id_that_another_name_of_the_file_loses_is_told(suffix: str, tmp_path: Path) -> None:
    layout = format_named(for_output(f"v{suffix}", "annotations"))
    told = "1 ids that are not the name of their file, which is read as the id"
    assert layout.write(annotations([(1.0, 2.0, "a")], "v.en"), str(tmp_path / f"v.en{suffix}"), SHOWN) == []
    assert layout.write(annotations([(1.0, 2.0, "a")], "v.en"), str(tmp_path / f"v{suffix}"), SHOWN) == [told]


def test_what_videos_lose_in_a_folder_is_told_together(tmp_path: Path) -> None:
    videos = [VideoProposals(v, np.zeros((0, 2)), np.zeros(0), duration=2.0) for v in "abc"]
    (tmp_path / "out").mkdir()
    lost = write_proposals(Proposals(videos), str(tmp_path / "out"), "csv")
    assert lost == ["3 durations", "3 videos without proposals"]
    assert write_proposals(Proposals(videos), str(tmp_path / "out"), "vtt") == ["the durations"]
    assert (tmp_path / "out" / "c.vtt").read_text() == "WEBVTT\n"


def test_a_folder_needs_its_format_and_an_empty_one_is_no_reason_to_guess(tmp_path: Path) -> None:
    for output in (f"{tmp_path}/", f"{tmp_path}/new/"):
        with pytest.raises(UsageError, match=r"a folder, one file a video: .* give --to"):
            write_proposals(detections([], "v"), output, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("video_id", ["../x", "a/../../x", "..", "/x", "a//b", ""])
def test_no_video_id_leads_out_of_the_folder(video_id: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    with pytest.raises(DataError, match=r"out/: video .* cannot be the name of a file or folder; rename it"):
        write_proposals(detections([], video_id), f"{tmp_path}/deep/out/", "vtt")
    assert [path.name for path in tmp_path.rglob("*")] in (["deep", "out"], ["out", "deep"])


def test_two_videos_never_share_a_file(tmp_path: Path) -> None:
    write_proposals(detections([], "v"), f"{tmp_path}/out/", "vtt")
    os.link(tmp_path / "out" / "v.vtt", tmp_path / "out" / "w.vtt")
    write_proposals(detections([], "v", "w"), f"{tmp_path}/out/", "vtt")  # Of another run: both are replaced.
    with pytest.raises(DataError, match="video 'v': another video has this file"):
        write_proposals(detections([], "v", "v"), f"{tmp_path}/out/", "vtt")


def test_a_failing_folder_has_the_videos_before_and_no_half_file(tmp_path: Path) -> None:
    content = detections([(1.0, 2.0, "a\nb", 0.5)], "w")
    good = detections([(1.0, 2.0, "a", 0.5)], "v")
    with pytest.raises(DataError, match="does not fit"):
        write_proposals(Proposals([*good.videos, *content.videos]), f"{tmp_path}/out/", "vtt")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["v.vtt"]


def test_more_events_than_anybody_reads_are_written_with_one_warning(tmp_path: Path) -> None:
    heard = Heard()
    rows = [(float(number), number + 1.0, "a", 0.5) for number in range(501)]
    write_proposals(detections(rows, "v", "w"), f"{tmp_path}/out/", "vtt", reporter=heard)
    assert (tmp_path / "out" / "w.vtt").read_text().count("-->") == 501
    assert heard.told == [
        "video 'v': 501 events in one vtt file; suppress them with taltool nms, or keep the best of each video with "
        "--top-k",
        f"{tmp_path}/out/: the format vtt does not hold the scores",
    ]
    write_proposals(detections(rows, "v"), str(tmp_path / "v.csv"), None, reporter=(heard := Heard()))
    assert heard.told == []


def test_times_of_the_parser_are_ours_to_the_millisecond(tmp_path: Path) -> None:
    srt = pytest.importorskip("srt")
    rows = [(number + number / 1000, number + 0.9996, f"a{number}") for number in range(0, 900, 7)]
    cues = list(srt.parse(written(annotations(rows), tmp_path / "v.srt")))
    for cue, (start, end, label) in zip(cues, rows, strict=True):
        assert abs(cue.start - timedelta(seconds=start)) <= timedelta(milliseconds=0.5)
        assert abs(cue.end - timedelta(seconds=end)) <= timedelta(milliseconds=0.5)
        assert cue.content == label
