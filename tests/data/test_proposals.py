"""The stream of proposals: what is read, what is refused and with which words, and that writing loses nothing."""

import gzip
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taltool.data.proposal_writer import ProposalWriter
from taltool.data.proposals import ProposalReader
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.data.video_json import to_objects
from taltool.errors import DataError

HEADER = (
    '{"taltool": {"kind": "proposals", "version": 1, "videos": 1, "classes": ["Dive"], "provenance": [{"tool": "x"}]}}'
)
VIDEO = '{"video_id": "v", "duration": 9.5, "proposals": [{"segment": [1, 2], "score": 0.5, "label": "Dive"}]}'
END = '{"end": {"videos": 1}}'


def written(folder: Path, *lines: str, name: str = "p.jsonl") -> str:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / name)


def read(path: str, **options: object) -> list[VideoProposals]:
    with ProposalReader(path, **options) as reader:  # type: ignore[arg-type]
        return list(reader)


def video_line(*proposals: str, video_id: str = "v") -> str:
    return f'{{"video_id": "{video_id}", "proposals": [{", ".join(proposals)}]}}'


def test_stream_carries_header_and_videos(tmp_path: Path) -> None:
    with ProposalReader(written(tmp_path, HEADER, VIDEO, END)) as reader:
        assert (reader.num_videos, reader.labels.names, reader.provenance) == (1, ["Dive"], [{"tool": "x"}])
        (video,) = reader
    assert (video.video_id, video.duration, video.segments.tolist(), video.scores.tolist()) == (
        "v",
        9.5,
        [[1, 2]],
        [0.5],
    )


def test_plain_lines_of_another_tool_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, video_line('{"segment": [0, 1], "score": 1}'), "", video_line(video_id="w"))
    assert [video.video_id for video in read(path)] == ["v", "w"]


def test_activitynet_layout_is_told_by_content(tmp_path: Path) -> None:
    document = '{"version": "x",\n "results": {"v": [{"label": "Dive", "score": 0.5, "segment": [1, 2]}]}}'
    (video,) = read(written(tmp_path, document, name="p.jsonl"))
    assert (video.video_id, video.names.names) == ("v", ["Dive"])


def test_gzip_is_undone(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(gzip.compress("\n".join([HEADER, VIDEO, END]).encode()))
    assert len(read(str(tmp_path / "p"))) == 1


@pytest.mark.parametrize("name", ["p.jsonl", "p.json"])
def test_byte_order_mark_is_passed_over(name: str, tmp_path: Path) -> None:
    text = "\n".join([HEADER, VIDEO, END]) if name == "p.jsonl" else '{"results": {"v": []}}'
    for content in (b"\xef\xbb\xbf" + text.encode(), gzip.compress(b"\xef\xbb\xbf" + text.encode())):
        (tmp_path / name).write_bytes(content)
        assert [video.video_id for video in read(str(tmp_path / name))] == ["v"]


def test_cut_gzip_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(gzip.compress("\n".join([HEADER, VIDEO, END]).encode())[:-20])
    with pytest.raises(DataError, match="gzip file is broken or cut short"):
        read(str(tmp_path / "p"))


def test_segments_without_label_are_class_agnostic(tmp_path: Path) -> None:
    (video,) = read(written(tmp_path, video_line('{"segment": [0, 1], "score": 1}')))
    assert video.labels is None


GOOD = '{"segment": [0, 1], "score": 0.5}'
BROKEN = {
    "ends before it starts": video_line(GOOD, '{"segment": [9.2, 4.0], "score": 0.5}'),
    "proposal 2 has no score; give all of them one with taltool convert --score": video_line(
        GOOD, '{"segment": [0, 1]}'
    ),
    "proposal 1 has no segment": video_line('{"score": 1}'),
    r"segment \[1\] of proposal 1 is not \[start, end\]": video_line('{"segment": [1], "score": 1}'),
    r"segment \['a', 'b'\] of proposal 1": video_line('{"segment": ["a", "b"], "score": 1}'),
    "score 'high' of proposal 2": video_line(GOOD, '{"segment": [0, 1], "score": "high"}'),
    "some proposals have a label and some have none": video_line(GOOD, '{"segment": [0, 1], "score": 1, "label": "a"}'),
    "label 3 of proposal 1 is not a name": video_line('{"segment": [0, 1], "score": 1, "label": 3}'),
    "no video_id": '{"proposals": []}',
    "expected a list of proposals, found dict": '{"video_id": "v", "proposals": {}}',
    "duration -1 is not a positive number": '{"video_id": "v", "duration": -1, "proposals": []}',
    "not JSON": '{"video_id": "v", ',
    "expected an object, found list": "[1]",
}


@pytest.mark.parametrize("complaint", BROKEN)
def test_broken_record_is_named_with_its_line(complaint: str, tmp_path: Path) -> None:
    path = written(tmp_path, video_line(GOOD, video_id="first"), BROKEN[complaint])
    with pytest.raises(DataError, match=rf"p\.jsonl:2: .*{complaint}"):
        read(path)


def test_repeated_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r":2: video 'v' comes a second time"):
        read(written(tmp_path, video_line(), video_line()))


def test_stream_without_end_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no end line after 1 videos: the command that wrote it was cut short"):
        read(written(tmp_path, HEADER, VIDEO))


def test_end_line_with_another_count_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r":3: the end line says 2 videos, 1 came before"):
        read(written(tmp_path, HEADER, VIDEO, '{"end": {"videos": 2}}'))


@pytest.mark.parametrize("line", [HEADER[:-5], VIDEO[:-5], VIDEO.replace("0.5", "NaN"), VIDEO.replace("0.5", "1e999")])
def test_a_first_line_that_is_broken_is_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"p\.jsonl:1: not JSON"):
        read(written(tmp_path, line, END))


def test_header_that_promises_another_count_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r":3: the header promises 2 videos, 1 came"):
        read(written(tmp_path, HEADER.replace('"videos": 1', '"videos": 2'), VIDEO, END))


def test_line_with_a_video_is_a_video_whatever_else_it_says(tmp_path: Path) -> None:
    plain = video_line(GOOD).replace("{", '{"end": 60, ', 1)
    assert [len(video) for video in read(written(tmp_path, plain, video_line(video_id="w")))] == [1, 0]
    in_stream = VIDEO.replace("{", '{"end": {"videos": 0}, "taltool": {}, ', 1)
    assert [video.video_id for video in read(written(tmp_path, HEADER, in_stream, END))] == ["v"]


def test_class_that_version_2_lists_twice_is_refused(tmp_path: Path) -> None:
    header = HEADER.replace('"version": 1', '"version": 2').replace('["Dive"]', '["Dive", "Run", "Dive"]')
    with pytest.raises(DataError, match=r":1: a class is listed twice"):
        read(written(tmp_path, header, VIDEO, END))


def test_line_of_both_versions_is_refused(tmp_path: Path) -> None:
    both = video_line(GOOD).replace("{", '{"segments": [], "scores": [], ', 1)
    with pytest.raises(DataError, match=r":1: video 'v': both proposals \(version 1\) and segments"):
        read(written(tmp_path, both))


def test_other_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r":1: expected .* version 1 or 2, found proposals version 3"):
        read(written(tmp_path, HEADER.replace('"version": 1', '"version": 3'), END))


def test_ground_truth_in_place_of_proposals_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected proposals .* found a ground truth"):
        read(written(tmp_path, '{"database": {}}', name="gt.json"))


def test_empty_file_asks_for_the_command_before(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="empty; expected proposals"):
        read(written(tmp_path, ""))


def test_default_score_stands_in_for_missing_ones_only(tmp_path: Path) -> None:
    path = written(tmp_path, video_line(GOOD, '{"segment": [0, 2]}', '{"segment": [0, 3], "score": null}'))
    (video,) = read(path, default_score=0.25)
    assert video.scores.tolist() == [0.5, 0.25, 0.25]


def test_invalid_segments_can_be_dropped_and_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, video_line(GOOD, '{"segment": [9, 4], "score": 1}'))
    with ProposalReader(path, drop_invalid=True) as reader:
        (video,) = reader
        assert (len(video), reader.num_dropped) == (1, 1)


def test_writer_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ProposalWriter(str(tmp_path / "out.jsonl")):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_objects_are_in_the_total_order() -> None:
    video = VideoProposals(
        "v", np.array([[5.0, 6], [1, 2], [1, 2]]), np.array([0.5, 0.5, 0.9]), np.array([0, 1, 0]), LabelVocabulary("ab")
    )
    assert [(p["score"], p["segment"][0], p["label"]) for p in to_objects(video)] == [
        (0.9, 1, "a"),
        (0.5, 1, "b"),
        (0.5, 5, "a"),
    ]


TIMES = st.floats(0, 1e6, allow_nan=False)
VIDEOS = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.lists(st.tuples(TIMES, TIMES, st.floats(-9e99, 9e99), st.text(max_size=3)), max_size=4),
    max_size=4,
)


@pytest.mark.slow
@given(VIDEOS, st.sampled_from(["x.jsonl", "x.json"]))
def test_writing_and_reading_gives_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, videos: dict[str, list[tuple[float, float, float, str]]], name: str
) -> None:
    path = str(tmp_path_factory.mktemp("round") / name)
    labels = LabelVocabulary()
    with ProposalWriter(path, provenance=[{"tool": "t"}]) as writer:
        for video_id, rows in videos.items():
            segments = np.array([sorted(row[:2]) for row in rows], np.float64).reshape(-1, 2)
            numbers = labels.numbered([row[3] for row in rows])
            scores = np.array([row[2] for row in rows], np.float64)
            writer.write(VideoProposals(video_id, segments, scores, numbers, labels, 12.5))
    with ProposalReader(path) as reader:
        found = {video.video_id: to_objects(video) for video in reader}
        assert reader.provenance == [{"tool": "t"}]
    wanted = {
        key: sorted(
            ({"segment": sorted(row[:2]), "score": row[2], "label": row[3]} for row in rows),
            key=lambda p: (-p["score"], *p["segment"], p["label"]),
        )
        for key, rows in videos.items()
    }
    assert orjson.dumps(found) == orjson.dumps(wanted)
