"""Every format of the registry keeps this contract: it knows its own files, and what it writes it reads again."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from project import PROJECT, Run
from strange_contents import written_formats

from taltool.data.clock import FeatureClock
from taltool.data.convert import convert
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Content, Features, FormatOptions, Opening, Proposals
from taltool.data.formats.output import for_output
from taltool.data.formats.sniffing import format_named, open_content, sniff
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.data.video_json import to_objects
from taltool.errors import DataError, UsageError

CLOCK = FeatureClock(fps=30.0, stride=4.0, window=16.0, offset=2.0, duration=2.0)
# What layouts without clocks, durations and class names have to be told.
FACTS = FormatOptions(
    clock={"fps": 30.0, "stride": 4.0, "window": 16.0, "offset": 2.0},
    durations={"v_1": 9.5, "naïve v": 4.0, "dir/v": 2.0},
    classes={"Dive": 4, "High jump": 0},
)
# A format that a user wrote, which holds no labels: it is named by its file.
OWN = str(PROJECT / "tests" / "plugin" / "tiny_format.py")
NAMES = [*FORMATS.names(), pytest.param(OWN, id="own")]
PAIRS = [(name, kind) for name in written_formats() for kind in FORMATS.load(name).kinds]
PAIRS.append(pytest.param(OWN, "proposals", id="own"))


def some_proposals() -> Proposals:
    names = LabelVocabulary(["High jump", "Dive"], complete=True)
    first = VideoProposals(
        "v_1", np.array([[0.1, 1 / 3], [2, 5.5]]), np.array([0.9, 1e-7]), np.array([1, 0]), names, 9.5
    )
    second = VideoProposals("naïve v", np.array([[1.0, 1.0]]), np.array([-2.0]), np.array([1]), names, 4.0)
    return Proposals([first, second], names, 2, [{"tool": "t"}])


def some_annotations() -> Annotations:
    first = [{"segment": [0.1, 1 / 3], "label": "Dive"}, {"segment": [2.0, 99.0], "label": "High jump"}]
    second = [{"segment": [1.0, 1.0], "label": "Dive"}]
    database = {
        "v_1": {"duration": 9.5, "subset": "validation", "annotations": first},
        "v_2": {"duration": 4.0, "subset": "validation", "annotations": second},
    }
    return Annotations(database.items(), {"version": "1", "taxonomy": [], "database": None})


def some_features() -> Features:
    values = {"v_1": np.arange(6, dtype=np.float32).reshape(3, 2), "dir/v": np.ones((2, 2), np.float16)}
    clocks = {video_id: FeatureClock(30.0, 4.0, 16.0, 2.0, duration=FACTS.durations[video_id]) for video_id in values}
    return Features(
        sorted(values),
        lambda v: values[v].shape,
        clocks.__getitem__,
        values.__getitem__,
        lambda v: {},
        {"backbone": "b"},  # type: ignore[arg-type, return-value]
        provenance=[{"tool": "t"}],
    )


def annotations_of_frames() -> Annotations:
    """Those that labels of frames can hold: nothing overlaps, is without length or goes on past the end."""
    content = some_annotations()
    (_, first), (_, second) = entries = list(content.entries)
    first["annotations"][1]["segment"] = [2.0, 9.5]
    second["annotations"][0]["segment"] = [1.0, 1.1]
    return replace(content, entries=entries)


def sample(kind: str) -> Content:
    return {"proposals": some_proposals, "annotations": some_annotations, "features": some_features}[kind]()  # type: ignore[operator]


def samples(name: str, kind: str) -> list[Content]:
    """The sample, or where a file of the format holds one video, each of its videos."""
    content = annotations_of_frames() if name == "frame-labels" else sample(kind)
    if not FORMATS.load(name).one_video:
        return [content]
    if isinstance(content, Proposals):
        return [replace(content, videos=[video], num_videos=1) for video in content.videos]
    assert isinstance(content, Annotations)
    return [replace(content, entries=[entry]) for entry in content.entries]


def file_of(content: Content, folder: Path) -> Path:
    """Where it is written: what holds one video is named after it."""
    names = [video.video_id for video in content.videos] if isinstance(content, Proposals) else []
    names = [video_id for video_id, _ in content.entries] if isinstance(content, Annotations) else names
    return folder / (names[0] if len(names) == 1 else "written")


def close(found: Any, expected: Any, resolution: float) -> bool:
    """Whether numbers differ by the resolution at most, and all else is equal."""
    if isinstance(found, float) and isinstance(expected, float) and resolution:
        return abs(found - expected) <= resolution + 1e-9
    if isinstance(found, dict) and isinstance(expected, dict):
        return list(found) == list(expected) and close([*found.values()], [*expected.values()], resolution)
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(close, found, expected, [resolution] * len(found)))
    return bool(found == expected)


def essence(content: Content, lost: Sequence[str] = ()) -> Any:
    """What every layout of a kind must keep; of proposals all but the scores or labels that it says it lost."""
    if isinstance(content, Proposals):
        gone = [key for key in ("score", "label") if f"the {key}s" in lost]
        found = {video.video_id: to_objects(video) for video in content.videos}
        if not gone:
            return found
        kept = [
            (v, {key: each[key] for key in each if key not in gone}) for v, every in found.items() for each in every
        ]
        return sorted(kept, key=repr)
    if isinstance(content, Annotations):
        every = content.entries
        return {key: sorted((a["label"], *a["segment"]) for a in entry["annotations"]) for key, entry in every}
    return {v: (content.values(v).tolist(), content.values(v).dtype, content.clock(v)) for v in content.ids}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "written"


@pytest.fixture(scope="module", autouse=True)
def own_format_is_for_these_tests_only() -> Iterator[None]:
    yield
    FORMATS._entries.pop("spans", None)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_what_a_format_writes_it_recognises_and_reads(name: str, kind: str, tmp_path: Path) -> None:
    for number, content in enumerate(samples(name, kind)):
        place = file_of(content, tmp_path)
        lost = format_named(name).write(content, str(place), FACTS)
        # A ground truth with numbers beside the names is an ordinary one, and so is a stream of the first version.
        told = {("actionformer", "annotations"): "activitynet", ("jsonl1", "proposals"): "jsonl"}.get(
            (name, kind), name
        )
        assert sniff(str(place)) == FORMATS.canonical(told)
        facts = FormatOptions(durations=FACTS.durations | {"v_2": 4.0}, clock=FACTS.clock, classes=FACTS.classes)
        facts = replace(facts, score=1.0 if "the scores" in lost else None)
        expected = essence(samples(name, kind)[number], lost)
        with open_content(str(place), name, facts) as read:
            assert read.kind == kind
            assert close(essence(read, lost), expected, FORMATS.load(name).resolution)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_second_writing_is_equal_byte_for_byte(name: str, kind: str, tmp_path: Path) -> None:
    facts = FormatOptions(durations=FACTS.durations | {"v_2": 4.0}, clock=FACTS.clock, classes=FACTS.classes)
    for content in samples(name, kind):
        first = file_of(content, tmp_path)
        format_named(name).write(content, str(first), facts)
        with open_content(str(first), name, facts) as read:
            format_named(name).write(read, str(tmp_path / "b"), facts)
        assert list(contents(first)) == list(contents(tmp_path / "b"))
        if (tmp_path / "b").is_file():
            (tmp_path / "b").unlink()


def cut_short(videos: Iterable[VideoProposals]) -> Iterator[VideoProposals]:
    yield from videos
    raise DataError


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    yield from ((file.name if path.is_dir() else "", file.read_bytes()) for file in files if file.is_file())


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_failed_writing_leaves_nothing(name: str, kind: str, tmp_path: Path) -> None:
    content = samples(name, kind)[0]
    if isinstance(content, Proposals):
        content.videos = cut_short(content.videos)
    elif isinstance(content, Annotations):
        broken = ("broken", {"annotations": [{}]})
        content.entries = [broken] if FORMATS.load(name).one_video else [*content.entries, broken]
    else:
        content.ids = [*content.ids, "not there"]
    with pytest.raises((KeyError, DataError)):
        format_named(name).write(content, str(tmp_path / "out"), FACTS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_format_claims_a_file_of_another(name: str) -> None:
    strangers = (b"", b"\x00\x00\x00\x18ftypmp42", b"{}", b'{"version": "1"}', b"hello\n", b"[1, 2]", b"\xff\xfe\x00")
    assert not any(format_named(name).recognises(Opening("x", head)) for head in strangers)
    assert not format_named(name).recognises(Opening("x", suffixes=frozenset({".mp4"})))


@pytest.mark.parametrize("name", NAMES)
def test_every_format_has_a_summary(name: str) -> None:
    assert re.fullmatch(r".*[^.]", FORMATS.load(name).summary)


LOST = [
    ("csv", "proposals", ["2 durations", "the provenance"]),
    ("csv", "annotations", ["2 durations"]),
    ("thumos14", "annotations", ["2 durations"]),
    ("actionformer", "proposals", ["the names of the classes", "2 durations", "the provenance"]),
    (
        "npy",
        "features",
        ["the clocks (fps 30, stride 4, window 16, offset 2) and durations", "the attributes", "the provenance"],
    ),
    ("frame-labels", "annotations", ["the subsets (validation)"]),
    ("vtt", "proposals", ["the scores", "the durations", "the provenance"]),
    ("srt", "annotations", ["1 durations", "the subsets (validation)"]),
    ("audacity", "proposals", ["the scores", "the durations", "the provenance"]),
    ("elan", "proposals", ["the scores", "the durations", "the provenance"]),
    ("elan", "annotations", ["1 durations", "the subsets (validation)"]),
    ("boris", "proposals", ["the provenance"]),
    ("boris", "annotations", ["the subsets (validation)"]),
    ("via", "proposals", ["2 durations", "the provenance"]),
    ("via", "annotations", ["2 durations", "the subsets (validation)"]),
    ("labelstudio", "proposals", ["the provenance"]),
    ("labelstudio", "annotations", ["the subsets (validation)"]),
    ("jsonl", "proposals", []),
    ("activitynet", "proposals", []),
    ("activitynet", "annotations", []),
    ("hdf5", "features", []),
    pytest.param(OWN, "proposals", ["the labels", "the durations", "the provenance"], id="own"),
]


@pytest.mark.parametrize(("name", "kind", "lost"), LOST)
def test_what_is_lost_is_said(name: str, kind: str, lost: list[str], tmp_path: Path) -> None:
    content = samples(name, kind)[0]
    assert format_named(name).write(content, str(file_of(content, tmp_path)), FACTS) == lost


def test_ground_truth_keeps_keys_that_nobody_here_knows(tmp_path: Path) -> None:
    source, target = tmp_path / "a.json", tmp_path / "b.json"
    text = '{"database":{"v":{"duration":3,"url":"x","annotations":[]}},"licence":"MIT","taxonomy":[{"nodeId":1}]}\n'
    source.write_text(text)
    convert(str(source), output=str(target))
    assert target.read_text() == text


def test_thumos_folder_takes_class_and_subset_from_the_file_names(tmp_path: Path) -> None:
    (tmp_path / "Dive_test.txt").write_text("video_test_1  1.0 2.5\n\nvideo_test_1 4 5\n")
    (tmp_path / "Ambiguous_test.txt").write_text("video_test_1 0 1\n")
    with open_content(str(tmp_path), options=FormatOptions(durations={"video_test_1": 6.0})) as content:
        assert isinstance(content, Annotations)
        ((_, entry),) = content.entries
    assert (entry["subset"], entry["duration"]) == ("testing", 6.0)
    assert sorted((a["label"], *a["segment"]) for a in entry["annotations"]) == [
        ("Ambiguous", 0, 1),
        ("Dive", 1, 2.5),
        ("Dive", 4, 5),
    ]


def test_a_class_that_would_be_read_as_another_is_not_written_as_a_thumos_folder(tmp_path: Path) -> None:
    rows = {
        subset: [{"segment": [1.0, 2.0], "label": label}] for subset, label in ((None, "a_val"), ("validation", "a"))
    }
    database = {str(subset): {"subset": subset, "annotations": found} for subset, found in rows.items()}
    with pytest.raises(DataError, match="label 'a_val' ends like the name of a subset"):
        format_named("thumos14").write(Annotations(database.items()), str(tmp_path / "out"), FACTS)
    database["None"]["subset"] = "testing"
    format_named("thumos14").write(Annotations(database.items()), str(tmp_path / "out"), FACTS)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"a_val_test.txt", "a_val.txt"}
    with open_content(str(tmp_path / "out")) as content:
        assert essence(content) == {"None": [("a_val", 1, 2)], "validation": [("a", 1, 2)]}


@pytest.mark.parametrize("label", ["../../x", "/tmp/x", "a/b", "..", "a\0"])
def test_no_label_leads_out_of_a_thumos_folder(label: str, tmp_path: Path) -> None:
    content = Annotations([("v", {"annotations": [{"segment": [1.0, 2.0], "label": label}]})])
    with pytest.raises(DataError, match=r"out: class .* cannot be the name of a file"):
        format_named("thumos14").write(content, str(tmp_path / "out"), FACTS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("video_id", ["../../x", "a/../../../x", "..", "/tmp/x", "a//b"])
def test_no_video_id_leads_out_of_a_folder_of_arrays(video_id: str, tmp_path: Path) -> None:
    content = some_features()
    content.ids = [*content.ids, video_id]
    content.values, content.clock = lambda v: np.ones((2, 2), np.float32), lambda v: CLOCK
    (tmp_path / "deep").mkdir()
    with pytest.raises(DataError, match=r"out: video .* cannot be the name of a file or folder; rename it"):
        format_named("npy").write(content, str(tmp_path / "deep" / "out"), FACTS)
    assert [path.name for path in tmp_path.rglob("*")] == ["deep"]


def test_two_videos_never_land_in_one_array(tmp_path: Path) -> None:
    content = some_features()
    content.ids = ["v_1", "v_1"]
    with pytest.raises(DataError, match="video 'v_1': a file of that name is there already"):
        format_named("npy").write(content, str(tmp_path / "out"), FACTS)


def test_an_id_with_a_stroke_is_a_subfolder_of_arrays(tmp_path: Path) -> None:
    format_named("npy").write(some_features(), str(tmp_path / "out"), FACTS)
    assert (tmp_path / "out" / "dir" / "v.npy").is_file()


def test_ground_truth_without_durations_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "Dive_val.txt").write_text("v 1 2\n")
    with pytest.raises(DataError, match="1 of 1 videos have no duration, 'v' the first; give them with --durations"):
        convert(str(tmp_path), output=str(tmp_path / "gt.json"))
    assert not (tmp_path / "gt.json").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("video_id,start,end,label\nv,1\n", ":2: 2 fields, expected 4"),
        ("video_id,start,end,label\nv,1,x,a\n", ":2: '1', 'x' are not start and end in seconds"),
        (
            "video_id,start,end,label\nv,3,1,a\n",
            r":2: segment \[3.0, 1.0\] ends before it starts \(use --drop-invalid; if 'end' is a length",
        ),
        ("video_id,start,end,label\nv,1,inf,a\n", ":2: segment .* is not finite"),
        ("video_id,start,end,score\nv,1,2,high\n", ":2: score 'high' is not a number"),
        ("video_id,start,end,score\nv,1,2,\n", ":2: no score; give those without one a score with --score"),
        ("video_id,start,end\nv,1,2\n", ":1: neither a label .* nor a score"),
        ("video_id,start,end,label,label\nv,1,2,a,b\n", ":1: two columns 'label'"),
        ('video_id,start,end,label\nv,1,2,"a\nv,3,4,b"\n', ":2: not a line of CSV .* where they open"),
        ('video_id,start,end,label\nv,1,2,a\nv,1,2,"a\rb"\n', ":3: not a line of CSV"),
        ('video_id,start,end,label\nv,1,2,"a"b\n', ":2: not a line of CSV"),
        (f"video_id,start,end,label\nv,1,2,{'a' * 200_000}\n", r":2: not a line of CSV \(field larger"),
        ("video_id,start,end,label\nv,1,2,a\0\n", ":2: a NUL byte"),
        ("video_id,start,end,label,score\nv,1,2,a,1\nv,1,2,,1\n", ":3: some proposals have a label and some have none"),
    ],
)
def test_broken_csv_is_named_with_its_line(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(DataError, match=rf"x\.csv{complaint}"), open_content(str(tmp_path / "x.csv")) as content:
        essence(content)


def test_csv_columns_are_found_by_name_and_strange_ones_left_out_aloud(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('score,who,end,start,video_id,label\n0.5,me,2,1,v,"a, b"\n')
    with open_content(str(tmp_path / "x.csv")) as content:
        assert essence(content) == {"v": [{"segment": [1, 2], "score": 0.5, "label": "a, b"}]}
        assert content.notes == ["the columns who"]


def test_numbers_of_classes_need_names(tmp_path: Path) -> None:
    place = tmp_path / "x.json"
    place.write_text('{"database": {"v": [{"segment": [1, 2], "label_id": 7, "scores": 0.5}]}}')
    with pytest.raises(DataError, match="name them with --classes"), open_content(str(place)):
        pass
    with (
        pytest.raises(DataError, match="prediction 1, label_id: class 7 has no name in --classes"),
        open_content(str(place), options=FACTS) as content,
    ):
        essence(content)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.zeros((2, 3, 4)), r"shape \(T, C\)"),
        (np.array([[np.nan]]), "snippet 0, channel 0 is nan"),
        (np.array([[{}]]), "not an array"),
    ],
)
def test_array_of_another_kind_is_refused(values: Any, complaint: str, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", values)
    with open_content(str(tmp_path), options=FACTS) as content, pytest.raises(DataError, match=complaint):
        content.values("v")  # type: ignore[union-attr]


def test_unknown_format_is_corrected() -> None:
    with pytest.raises(UsageError, match=r"no format is named 'activitnet'; did you mean 'activitynet'\?"):
        format_named("activitnet")


THEIR_FORMATS = """from taltool.data.formats.contract import Format

class Half(Format):
    summary, kinds, suffixes = "half a format", ("proposals",), (".half",)

    def recognises(self, opening):
        return True
"""


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (
            "no_such_module:Theirs",
            "format 'theirs' cannot be imported: ModuleNotFoundError: No module named 'no_such_m",
        ),
        ("their_formats:Half", "format 'theirs' does not define read, write"),
    ],
)
def test_a_broken_format_of_a_package_matters_only_where_no_other_knows_the_file(
    entry: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_formats.py").write_text(THEIR_FORMATS)
    monkeypatch.syspath_prepend(str(tmp_path))
    foreign = {"theirs": EntryPoint("theirs", entry, FORMATS.group)}
    monkeypatch.setitem(vars(FORMATS), "_foreign", foreign)
    monkeypatch.setattr(FORMATS, "_entries", dict(FORMATS._entries))
    format_named("jsonl").write(some_proposals(), str(tmp_path / "a.jsonl"), FACTS)
    assert convert(tmp_path / "a.jsonl", output=tmp_path / "a.csv").format == "csv"
    assert sniff(str(tmp_path / "a.csv")) == "csv"
    (tmp_path / "odd").write_text("odd")
    with pytest.raises(DataError, match=f"looks like no known format: .*; {complaint}"):
        sniff(str(tmp_path / "odd"))
    with pytest.raises(UsageError, match=f"give --to .*; {complaint}"):
        for_output("a.theirs", "proposals")
    with pytest.raises(UsageError, match=f"^{complaint}"):
        format_named("theirs")


def test_output_name_that_says_nothing_asks_for_a_format() -> None:
    known = r".*\.csv, .*\.json, \.jsonl, \.ndjson, .*\.srt, \.tsv, \.txt, \.vtt"
    with pytest.raises(UsageError, match=rf"-o x\.dat: \.dat is none of {known}: .* give --to actionformer\|.*\|csv"):
        for_output("x.dat", "proposals")
    with pytest.raises(UsageError, match=r"-o x\.vtt: \.vtt is none of \.h5, \.hdf, \.hdf5: .* give --to hdf5\|npy"):
        for_output("x.vtt", "features")


def test_target_that_cannot_hold_the_kind_is_refused(tmp_path: Path) -> None:
    format_named("activitynet").write(some_annotations(), str(tmp_path / "gt.json"), FACTS)
    with pytest.raises(UsageError, match="--to hdf5: it holds features, not annotations"):
        convert(str(tmp_path / "gt.json"), output=str(tmp_path / "x.h5"), target="hdf5")


def shards(folder: Path, **changes: Any) -> list[str]:
    for number, video_id in enumerate(some_features().ids):
        content = some_features()
        content.ids, content.provenance = [video_id], [{"tool": "extract", "shard": number}]
        if number:
            vars(content).update(changes)
        format_named("hdf5").write(content, str(folder / f"shard-{number}.h5"), FACTS)
    return [str(folder / "shard-0.h5"), str(folder / "shard-1.h5")]


def test_shards_of_features_become_one_file(tmp_path: Path) -> None:
    convert(*shards(tmp_path), output=str(tmp_path / "all.h5"))
    with open_content(str(tmp_path / "all.h5")) as content:
        assert essence(content) == essence(some_features())
        assert isinstance(content, Features)
        assert content.provenance is not None
        *before, own = content.provenance
        assert before == [{"tool": "extract", "shard": 0}, {"tool": "extract", "shard": 1}]
        assert (own["tool"], [each["name"] for each in own["inputs"]]) == ("taltool", ["shard-0.h5", "shard-1.h5"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"attributes": {"backbone": "other"}}, "backbone is other, in .* it is b"),
        ({"attributes": {"backbone": "b", "window": 8}}, "window is 8, in .* it is None"),
        ({"streams": {"flow": (0, 2)}}, "streams is"),
        ({"values": lambda v: np.ones((3, 5), np.float32)}, "number of channels is 5, in .* it is 2"),
    ],
)
def test_shards_of_different_settings_are_refused(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=complaint):
        convert(*shards(tmp_path, **change), output=str(tmp_path / "all.h5"))
    assert not (tmp_path / "all.h5").exists()


def test_shards_of_other_extractions_are_told_apart_by_the_setting(tmp_path: Path) -> None:
    for number, (video_id, stride) in enumerate(zip(some_features().ids, (4, 8), strict=True)):
        content = some_features()
        content.ids, content.attributes = [video_id], {"settings": f'{{"backbone": "b", "stride": {stride}}}'}
        format_named("hdf5").write(content, str(tmp_path / f"{number}.h5"), FACTS)
    with pytest.raises(DataError, match=r"1\.h5: stride is 8, in .*0\.h5 it is 4"):
        convert(str(tmp_path / "0.h5"), str(tmp_path / "1.h5"), output=str(tmp_path / "all.h5"))


def test_a_join_by_reference_reads_like_a_copy(tmp_path: Path) -> None:
    paths = shards(tmp_path)
    before = [Path(path).read_bytes() for path in paths]
    (tmp_path / "joined").mkdir()
    convert(*paths, output=str(tmp_path / "joined" / "all.h5"), link=True)
    with open_content(str(tmp_path / "joined" / "all.h5")) as content:
        assert essence(content) == essence(some_features())
        assert isinstance(content, Features)
        assert [step["tool"] for step in content.provenance or []] == ["extract", "extract", "taltool"]
    assert [Path(path).read_bytes() for path in paths] == before
    with h5py.File(tmp_path / "joined" / "all.h5") as plain:
        assert plain["dir/v"].shape == (2, 2)
    convert(str(tmp_path / "joined" / "all.h5"), output=str(tmp_path / "copy.h5"))
    for path in paths:
        Path(path).unlink()
    with open_content(str(tmp_path / "copy.h5")) as content:
        assert essence(content) == essence(some_features())
    with (
        pytest.raises(DataError, match=r"1 of its 2 videos lie in \.\./shard-0\.h5, which is not there"),
        open_content(str(tmp_path / "joined" / "all.h5")),
    ):
        pass


def test_only_features_as_they_are_can_be_referred_to(tmp_path: Path) -> None:
    format_named("jsonl").write(some_proposals(), str(tmp_path / "a.jsonl"), FACTS)
    with pytest.raises(UsageError, match="--link joins feature files"):
        convert(str(tmp_path / "a.jsonl"), output=str(tmp_path / "b.jsonl"), link=True)
    with pytest.raises(UsageError, match="need a copy"):
        convert(*shards(tmp_path), output=str(tmp_path / "all.h5"), fps=3.0, link=True)


def test_video_in_two_files_is_refused(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    for path in paths:
        format_named("jsonl").write(some_proposals(), path, FACTS)
    with pytest.raises(DataError, match=r"b\.jsonl: video 'v_1' is in .*a\.jsonl too"):
        convert(*paths, output=str(tmp_path / "all.jsonl"))


def test_shards_of_predictions_become_one_stream(tmp_path: Path) -> None:
    for number, video in enumerate(some_proposals().videos):
        listed = ["High jump", "Dive"] if number else ["Dive", "High jump"]
        part = Proposals([video], LabelVocabulary(listed, complete=True), 1, [])
        format_named("jsonl").write(part, str(tmp_path / f"{number}.jsonl"), FACTS)
    convert(str(tmp_path / "0.jsonl"), str(tmp_path / "1.jsonl"), output=str(tmp_path / "all.jsonl"))
    with open_content(str(tmp_path / "all.jsonl")) as content:
        assert essence(content) == essence(some_proposals())


def test_kinds_do_not_mix(tmp_path: Path) -> None:
    format_named("jsonl").write(some_proposals(), str(tmp_path / "p.jsonl"), FACTS)
    format_named("activitynet").write(some_annotations(), str(tmp_path / "gt.json"), FACTS)
    with pytest.raises(DataError, match=r"gt\.json holds annotations, .* proposals: one kind at a time"):
        convert(str(tmp_path / "p.jsonl"), str(tmp_path / "gt.json"))


def test_a_conversion_says_what_it_lost_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video_id,start,end,label,who\nv,1,2,a,me\nv,2,1,a,me\n")
    done = convert(str(tmp_path / "a.csv"), output=str(tmp_path / "b.json"), durations={"v": 3}, drop_invalid=True)
    assert (done.kind, done.format, done.lost) == ("annotations", "activitynet", ())
    assert done.left_out == ("the columns who", "1 segments that end before they start")
    back = convert(str(tmp_path / "b.json"), output=str(tmp_path / "c.csv"))
    assert repr(back) == f"Conversion({tmp_path}/c.csv: annotations as csv; lost: 1 durations)"


def test_a_format_of_ones_own_is_named_by_its_file(taltool: Run, tmp_path: Path) -> None:
    format_named("jsonl").write(some_proposals(), str(tmp_path / "a.jsonl"), FACTS)
    there = taltool("convert", tmp_path / "a.jsonl", "--to", OWN, "-o", tmp_path / "a.spans")
    assert there.returncode == 0
    assert b"the format spans does not hold the labels; the durations; the provenance" in there.stderr
    assert (tmp_path / "a.spans").read_text().splitlines()[:2] == ["spans", "v_1\t0.1\t0.3333333333333333\t0.9"]
    back = taltool("convert", "--from", OWN, tmp_path / "a.spans", "--to", "csv")
    assert back.stdout.splitlines() == [
        b"video_id,start,end,score",
        b"v_1,0.1,0.3333333333333333,0.9",
        b"v_1,2.0,5.5,1e-07",
        "naïve v,1.0,1.0,-2.0".encode(),
    ]
    # Named for one side, it is known to the other too.
    assert taltool("convert", "--from", OWN, tmp_path / "a.spans", "-o", tmp_path / "b.spans").returncode == 0
    assert (tmp_path / "b.spans").read_bytes() == (tmp_path / "a.spans").read_bytes()
    unknown = taltool("convert", tmp_path / "a.spans", "--to", "csv")
    assert b"looks like no known format: text that begins with 'spans'" in unknown.stderr
