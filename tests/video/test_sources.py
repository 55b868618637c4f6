"""What the user names becomes videos with ids."""

import os
import re
from pathlib import Path

import pytest

from taltool.errors import DataError, UsageError
from taltool.video.sources import Shard, find


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def ids(*operands: object) -> list[str]:
    return [source.video_id for source in find(map(str, operands))[0]]


def test_ids_are_paths_inside_the_folder_without_suffix(tmp_path: Path) -> None:
    make(tmp_path, "b.mp4", "deep/er/a.b.MKV", "-dash.webm", "日本.mov", ".hidden.mp4")
    assert ids(tmp_path) == sorted(["b", "deep/er/a.b", "-dash", "日本"])


def test_files_that_are_no_videos_are_passed_over_and_told(tmp_path: Path) -> None:
    make(tmp_path, "b.mp4", "gt.json")
    assert find([str(tmp_path)])[1] == [str(tmp_path / "gt.json")]


def test_a_named_file_is_a_video_whatever_its_suffix(tmp_path: Path) -> None:
    make(tmp_path, "b.dat")
    assert ids(tmp_path / "b.dat") == ["b"]


def test_a_list_names_one_path_a_line(tmp_path: Path) -> None:
    make(tmp_path, "b c.mp4", "a.mp4")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/b c.mp4\n\n{tmp_path}/a.mp4")
    assert ids(tmp_path / "list.txt") == ["a", "b c"]


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa.mp4\r\nb.mp4\r\n")
    assert ids(tmp_path / "list.txt") == ["a", "b"]


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"a.mp4\n\0\0\0\x18ftypmp42")
    with pytest.raises(DataError, match=r"list\.txt:2: a byte 0x00; expected a list of videos, one path per line"):
        ids(tmp_path / "list.txt")


def test_a_list_that_never_ends_its_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"a.mp4\n" + b"x" * 100_000)
    with pytest.raises(DataError, match=r"list\.txt:2: a line that is longer than any path; expected a list"):
        ids(tmp_path / "list.txt")


def test_a_list_that_is_a_video_says_so(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"GIF89a" + bytes(100))
    with pytest.raises(DataError, match=r"list\.txt: a video \(GIF\); `taltool predict"):
        ids(tmp_path / "list.txt")


@pytest.mark.parametrize(
    "address",
    ["http://a.org/m.mp4", "https://a.org", "rtsp://cam:554/1", "RTMP://a/b", "srt://a:9", "udp://@:1", "s3://b/m.mp4"],
)
def test_an_address_is_refused_by_name(tmp_path: Path, address: str) -> None:
    (tmp_path / "list.txt").write_text(f"{address}\n")
    for operand in (address, tmp_path / "list.txt"):
        with pytest.raises(UsageError, match=re.escape(f"{address}: live input and addresses are not read yet: ")):
            ids(operand)


@pytest.mark.parametrize("device", ["/dev/video0", "/dev/zero"])
def test_a_device_is_refused_by_name(device: str) -> None:
    with pytest.raises(UsageError, match=rf"{device}: a device; live input is not read yet: record it"):
        ids(device)


def test_the_same_file_twice_is_one_video(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4")
    assert ids(tmp_path / "a.mp4", tmp_path) == ["a"]


def test_two_files_of_one_id_are_named(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "a.avi")
    with pytest.raises(UsageError, match=r"a\.avi, .*a\.mp4"):
        ids(tmp_path)


def test_a_video_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "a/b.mp4")
    with pytest.raises(UsageError, match="one name"):
        ids(tmp_path)


def test_nothing_found_says_what_was_looked_for(tmp_path: Path) -> None:
    make(tmp_path, "gt.json")
    with pytest.raises(UsageError, match=r"none with the suffix of a video \(\.3gp"):
        ids(tmp_path)
    with pytest.raises(UsageError, match="no such file"):
        ids(tmp_path / "absent")


def test_shards_divide_the_videos_without_rest(tmp_path: Path) -> None:
    make(tmp_path, *[f"{n}.mp4" for n in range(7)])
    every, _ = find([str(tmp_path)])
    parts = [Shard.parse(f"{i}/3").part(every) for i in (1, 2, 3)]
    assert sorted(source.video_id for part in parts for source in part) == [source.video_id for source in every]
    assert [len(part) for part in parts] == [3, 2, 2]


@pytest.mark.parametrize("wrong", ["0/3", "4/3", "a/b", "2", "1/0", "-1/3"])
def test_a_shard_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match="from 1 to N"):
        Shard.parse(wrong)


def test_a_folder_of_images_is_a_video_named_by_its_path(tmp_path: Path) -> None:
    make(tmp_path, "a/x/img_1.jpg", "a/x/img_2.jpg", "a/y/1.png", "a/b.mp4", "a/poster.jpg")
    assert ids(tmp_path) == ["a/b", "a/x", "a/y"]
    assert ids(tmp_path / "a" / "x") == ["x"]
    assert find([str(tmp_path)])[1] == [str(tmp_path / "a" / "poster.jpg")]


def test_a_list_may_name_folders_of_images(tmp_path: Path) -> None:
    make(tmp_path, "a.b/1.jpg", "c.mp4")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.b\n{tmp_path}/c.mp4\n")
    assert ids(tmp_path / "list.txt") == ["a.b", "c"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text(f"{tmp_path}/c.mp4\n{tmp_path}/empty\n")
    with pytest.raises(UsageError, match="empty: a list names this folder, which holds no videos"):
        ids(tmp_path / "list.txt")


def test_ids_of_a_pattern_begin_where_it_gets_wild(tmp_path: Path) -> None:
    make(tmp_path, "v/1/a.mp4", "v/2/a.mp4", "v/2/deep/b.mp4", "v/2/notes.md", "v/3/c.avi")
    assert ids(f"{tmp_path}/v/**/*.mp4") == ["1/a", "2/a", "2/deep/b"]
    assert ids(f"{tmp_path}/v/[12]") == ["1/a", "2/a", "2/deep/b"]
    assert ids(f"{tmp_path}/v/3/*") == ["c"]
    with pytest.raises(UsageError, match="nothing matches"):
        ids(f"{tmp_path}/v/*.mov")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    make(tmp_path, "[1].mp4", "1.mp4")
    assert ids(tmp_path / "[1].mp4") == ["[1]"]


def test_a_pipe_is_refused_before_anything_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "v.mp4")
    with pytest.raises(DataError, match="pipe or a device"):
        find([str(tmp_path)])[0][0].identity()


def test_a_folder_of_images_that_gets_one_more_has_changed(tmp_path: Path) -> None:
    make(tmp_path, "v/1.jpg")
    [source], _ = find([str(tmp_path / "v")])
    before = source.identity()
    make(tmp_path, "v/2.jpg")
    assert source.identity() != before


def test_files_that_differ_in_their_suffix_alone_are_told_apart_by_a_pattern(tmp_path: Path) -> None:
    make(tmp_path, "v/a.mp4", "v/a.avi", "v/b.mp4")
    with pytest.raises(UsageError, match=r"2 files would have the video id 'a': .*'(.*\*\.avi)' say") as refused:
        find([str(tmp_path / "v")])
    pattern = str(refused.value).split("'")[3]
    assert ids(pattern) == ["a"]


def test_files_of_one_name_in_two_folders_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    make(tmp_path, "v/a.mp4", "w/a.mp4")
    with pytest.raises(UsageError, match="or name the folder that holds them"):
        find([str(tmp_path / "v/a.mp4"), str(tmp_path / "w/a.mp4")])
    assert ids(tmp_path) == ["v/a", "w/a"]
