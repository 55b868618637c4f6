"""However videos, snippets and threads are divided, every video gets its own features."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import av
import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from short_videos import SETTINGS, Mean, sources, write_video

from taltool.backbones.contract import Backbone
from taltool.errors import DataError, UsageError
from taltool.extraction.encoder import Encoder
from taltool.extraction.extract import extract
from taltool.extraction.pipeline import Outcome, Reading, extract_features
from taltool.extraction.resources import Concurrency, Resources
from taltool.extraction.settings import ExtractionSettings
from taltool.extraction.worker_pool import available_cores
from taltool.video import frames
from taltool.video.flow import FlowSettings
from taltool.video.frames import FrameFormat, FrameSequence
from taltool.video.snippet_windows import SnippetWindows
from taltool.video.sources import VideoSource


class Counting(Mean):
    """Counts batches and the pictures that it is shown; does not scale, so sizes differ from video to video."""

    frame_format = FrameFormat("gray")

    def __init__(self) -> None:
        super().__init__(None)
        self.shapes: list[tuple[int, ...]] = []
        self.looked_at = 0

    def seen(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.looked_at += 1
        return picture

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.shapes.append(snippets.shape)
        return super().encode_snippets(snippets)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[VideoSource]:
    """Five videos of 20 to 60 frames, one of another size."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(4):
        write_video(folder / f"{number}.mp4", 20 + 10 * number, seed=number)
    with av.open(str(folder / "wide.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for n in range(25):
            shown = np.full((64, 128), 8 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    return sources(folder)


def run(videos: Sequence[VideoSource], backbone: Backbone, batch: int = 1, **concurrency: Any) -> dict[str, Outcome]:
    encoder = Encoder([backbone], FlowSettings("dis"), SETTINGS.windows, batch)
    return {
        each.source.video_id: each for each in extract_features(videos, SETTINGS, encoder, Concurrency(**concurrency))
    }


def values(finished: dict[str, Outcome]) -> dict[str, list[list[float]]]:
    return {name: each.features.values.tolist() for name, each in finished.items() if each.features is not None}


@pytest.mark.parametrize(
    "concurrency", [{"threads": 3}, {"readers": 3}, {"threads": 2, "readers": 9, "flow_threads": 2}]
)
@pytest.mark.parametrize("batch", [0, 1, 4, 64])
def test_every_division_of_the_work_gives_the_same(
    videos: list[VideoSource], batch: int, concurrency: dict[str, int]
) -> None:
    assert values(run(videos, Counting(), batch, **concurrency)) == values(run(videos, Counting()))


def test_batches_cross_videos_and_all_are_of_one_size(videos: list[VideoSource]) -> None:
    backbone = Counting()
    snippets = sum(len(rows) for rows in values(run(videos, backbone, batch=4, readers=2)).values())
    assert {shape[0] for shape in backbone.shapes} == {4}
    sizes = {shape[2:] for shape in backbone.shapes}
    assert len(sizes) == 2
    # At most one batch of each size had to be filled up.
    assert len(backbone.shapes) <= snippets // 4 + len(sizes)


def test_pictures_that_snippets_share_are_prepared_once(videos: list[VideoSource]) -> None:
    backbone = Counting()
    finished = run(videos, backbone)
    frames = sum(each.features.attributes["num_frames"] for each in finished.values() if each.features is not None)
    assert SETTINGS.windows.window > SETTINGS.windows.stride
    assert backbone.looked_at == frames


def test_a_video_that_breaks_takes_no_other_along(videos: list[VideoSource], tmp_path: Path) -> None:
    whole = Path(videos[2].path).read_bytes()
    (tmp_path / "torn.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.mp4").touch()
    broken = [VideoSource(name, str(tmp_path / f"{name}.mp4")) for name in ("torn", "empty", "absent")]
    mixed = [broken[0], *videos[:2], broken[1], *videos[2:], broken[2]]
    finished = run(mixed, Counting(), batch=4, readers=3)
    assert {name for name, each in finished.items() if each.reason} == {"torn", "empty", "absent"}
    assert values(finished) == values(run(videos, Counting()))


class Whole(Backbone):
    """A backbone that sees whole videos."""

    frame_format = FrameFormat("gray", short_side=16)
    streams: ClassVar = {"mean": (0, 1)}

    def encode(self, pictures: Any, windows: Any, threads: Any) -> Any:
        yield from (snippet.mean(dtype=np.float32).reshape(1, 1) for snippet in windows.cut(pictures))


def raising(monkeypatch: pytest.MonkeyPatch, owner: Any, method: str, error: BaseException) -> None:
    """Let `method` raise `error` for the video with the id 1; of a module it is given the path."""
    before = getattr(owner, method)

    def after(subject: Any, *words: Any, **more: Any) -> Any:
        if "1.mp4" in str(subject if isinstance(subject, str) else vars(subject)):
            raise error
        return before(subject, *words, **more)

    monkeypatch.setattr(owner, method, after)


PARTS = [(VideoSource, "identity"), (frames, "scan"), (FrameSequence, "_shown"), (Reading, "outcome")]
ERRORS = [AttributeError("x"), RecursionError("x")]


@pytest.mark.parametrize("backbone", [Counting, Whole])
@pytest.mark.parametrize(("owner", "method"), PARTS)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_video_that_raises_whatever_it_may_takes_no_other_along(
    backbone: Any, owner: Any, method: str, error: Exception, videos: list[VideoSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backbone() if backbone is Counting else backbone(None)
    raising(monkeypatch, owner, method, error)
    finished = run(videos, made, readers=2)
    assert [name for name, each in finished.items() if each.features is None] == ["1"]
    assert finished["1"].reason is not None
    assert finished["1"].reason.startswith(f"{type(error).__name__}: x (nobody foresaw this")
    assert "Traceback" in str(finished["1"].traceback)


@pytest.mark.parametrize(("error", "reason"), [(OSError("gone"), "gone"), (MemoryError(), "MemoryError")])
def test_an_error_that_was_foreseen_needs_no_trace(
    error: Exception, reason: str, videos: list[VideoSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, FrameSequence, "_shown", error)
    finished = run(videos[:3], Counting())["1"]
    assert (finished.reason, finished.traceback) == (reason, None)


@pytest.mark.parametrize("error", [UsageError("all"), KeyboardInterrupt()], ids=lambda error: type(error).__name__)
def test_what_holds_for_all_videos_stops_them(
    error: BaseException, videos: list[VideoSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, Reading, "outcome", error)
    with pytest.raises(type(error)):
        run(videos, Counting())


def test_a_video_whose_features_are_not_finite_fails_alone(videos: list[VideoSource]) -> None:
    class Overflowing(Counting):
        def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
            found = super().encode_snippets(snippets)
            return found * np.inf if snippets.shape[-1] == 128 else found

    finished = run(videos, Overflowing(), batch=4, readers=3)
    assert {name: each.reason for name, each in finished.items() if each.reason} == {
        "wide": "its features are not all finite in float32"
    }


def test_a_video_that_vanishes_while_it_is_read_fails_alone(videos: list[VideoSource], tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 300)

    class Deleting(Counting):
        def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
            path.unlink(missing_ok=True)
            return super().encode_snippets(snippets)

    finished = run([VideoSource("v", str(path)), *videos[:1]], Deleting())
    assert finished["v"].reason == "No such file or directory"
    assert finished["0"].reason is None


def test_a_video_that_grows_while_it_is_read_is_not_kept(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 40)

    class Appending(Counting):
        def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
            with path.open("ab") as stream:
                stream.write(b"more")
            return super().encode_snippets(snippets)

    assert run([VideoSource("v", str(path))], Appending())["v"].reason == "it changed while it was read"


def test_a_video_that_never_goes_on_is_given_up_alone(
    videos: list[VideoSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    from taltool.video.frames import FrameSequence

    stuck, real = threading.Event(), FrameSequence._shown

    def shown(self: FrameSequence) -> Any:
        for number, item in enumerate(real(self)):
            if self.path == videos[1].path and number == 20:
                stuck.wait(60)
            yield item

    monkeypatch.setattr(FrameSequence, "_shown", shown)
    finished = run(videos, Counting(), readers=2, patience=1.0)
    stuck.set()
    assert finished["1"].reason == "nothing of it could be read for 1 s: given up"
    assert {name for name, each in finished.items() if each.reason} == {"1"}


def pictures_of(source: Iterator[int], video: VideoSource, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What is handed on of a video whose moments are these numbers."""
    monkeypatch.setattr(FrameSequence, "together", lambda *_: source)
    encoder = Encoder([Counting()], FlowSettings("dis"), SETTINGS.windows, 1)
    return Reading(video, SETTINGS, encoder, 10.0).moments()


def test_pictures_do_not_wait_for_others_that_are_slow(
    videos: list[VideoSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        time.sleep(0.3)
        yield 2
        stuck.wait(60)

    pictures = pictures_of(slow(), videos[0], monkeypatch)
    assert [next(pictures), next(pictures)] == [1, 2]
    stuck.set()


@pytest.mark.parametrize("whole", [0, 1, 8, 20, 32])
def test_pictures_before_an_error_come_before_it(
    videos: list[VideoSource], monkeypatch: pytest.MonkeyPatch, whole: int
) -> None:
    def broken() -> Iterator[int]:
        yield from range(whole)
        raise ValueError("torn")

    pictures = pictures_of(broken(), videos[0], monkeypatch)
    assert [next(pictures) for _ in range(whole)] == list(range(whole))
    with pytest.raises(ValueError, match="torn"):
        next(pictures)


def test_what_nobody_waits_for_any_more_is_left_undone(videos: list[VideoSource]) -> None:
    backbone = Counting()
    encoder = Encoder([backbone], FlowSettings("dis"), SETTINGS.windows, 1)
    snippets = sum(len(rows) for rows in values(run(videos, Counting())).values())
    finished = extract_features(videos, SETTINGS, encoder, Concurrency())
    next(finished)
    finished.close()  # type: ignore[attr-defined]
    assert len(backbone.shapes) < snippets - 5


class Sharing(Mean):
    """Shares work between three neighbours; keeps the pictures of every run that it was shown."""

    def __init__(self) -> None:
        super().__init__(None)
        self.runs: list[NDArray[np.uint8]] = []

    def run_length(self, windows: SnippetWindows) -> int:
        return 3

    def encode_run(self, pictures: NDArray[np.uint8], windows: SnippetWindows) -> NDArray[np.float32]:
        self.runs.append(pictures)
        return super().encode_run(pictures, windows)

    def lengths(self) -> list[int]:
        """Of all runs, in snippets, from the shortest to the longest."""
        windows = SETTINGS.windows
        return sorted((len(run) - windows.window) // windows.stride + 1 for run in self.runs)


@pytest.mark.parametrize("concurrency", [{}, {"threads": 3, "readers": 4}])
def test_neighbours_that_share_work_come_together_counted_from_the_beginning_of_each_video(
    videos: list[VideoSource], concurrency: dict[str, int]
) -> None:
    backbone = Sharing()
    found = values(run(videos, backbone, batch=0, **concurrency))
    assert found == values(run(videos, Mean(None)))
    snippets = [len(rows) for rows in found.values()]
    lengths = sorted(min(3, count - first) for count in snippets for first in range(0, count, 3))
    assert backbone.lengths() == lengths


def test_what_waits_of_a_video_that_breaks_is_not_encoded(
    videos: list[VideoSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    from taltool.video.frames import FrameSequence

    real = FrameSequence._shown

    def shown(self: FrameSequence) -> Any:
        for number, item in enumerate(real(self)):
            if self.path == videos[3].path and number == 30:
                raise DataError("it breaks")
            yield item

    monkeypatch.setattr(FrameSequence, "_shown", shown)
    backbone, undisturbed = Sharing(), Sharing()
    finished = run(videos, backbone, batch=0, readers=6)
    assert {name for name, each in finished.items() if each.reason} == {"3"}
    others = [each for each in videos if each != videos[3]]
    assert values(finished) == values(run(others, undisturbed, batch=0))
    assert backbone.lengths() == undisturbed.lengths()


def test_a_video_is_done_as_soon_as_its_last_run_is(videos: list[VideoSource]) -> None:
    backbone = Sharing()
    encoder = Encoder([backbone], FlowSettings("dis"), SETTINGS.windows, batch=0)
    finished = extract_features([*videos, *videos, *videos], SETTINGS, encoder, Concurrency())
    next(finished)
    encoded = len(backbone.runs)
    assert len(list(finished)) == 14
    assert encoded < len(backbone.runs)


class Sideways(Backbone):
    """Reads the mean of each flow component."""

    frame_format = FrameFormat("gray", short_side=48)
    inputs = ("rgb", "flow")
    streams: ClassVar = {"flow": (0, 2)}

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        return snippets.mean((1, 2, 3), dtype=np.float32)


def test_streams_stand_side_by_side_in_the_order_of_their_backbones(videos: list[VideoSource]) -> None:
    backbones = [Mean(None), Sideways(None, "flow")]
    encoder = Encoder(backbones, FlowSettings("dis", "ultrafast"), SETTINGS.windows, 2, ["mine", "mine"])
    assert encoder.streams == {"mean": (0, 1), "flow": (1, 3)}
    both = list(extract_features(videos, SETTINGS, encoder, Concurrency(readers=2)))
    alone = run(videos, Mean(None))
    for each in both:
        assert each.features is not None
        assert each.features.values.shape[1] == 3
        assert each.features.values[:, :1].tolist() == values(alone)[each.source.video_id]


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize(("window", "stride", "offset"), [(5, 16, 0), (1, 7, 3), (2, 3, 1), (4, 4, 0)])
def test_what_lies_between_snippets_is_not_computed_and_changes_nothing(
    videos: list[VideoSource], window: int, stride: int, offset: int, batch: int
) -> None:
    def both(settings: ExtractionSettings) -> dict[str, NDArray[np.float32]]:
        backbones = [Mean(None), Sideways(None, "flow")]
        encoder = Encoder(backbones, FlowSettings("dis", "ultrafast"), settings.windows, batch)
        done = extract_features(videos, settings, encoder, Concurrency())
        return {each.source.video_id: each.features.values for each in done if each.features is not None}

    apart = both(ExtractionSettings.of(window=window, stride=stride, offset=offset))
    dense = both(ExtractionSettings.of(window=window, stride=1))
    assert len(apart) == len(videos)
    for name, rows in apart.items():
        np.testing.assert_array_equal(rows, dense[name][offset::stride])


class Lying(Mean):
    """Says `streams`, and gives its features (n, 1) through `given`."""

    def __init__(self, streams: Any, given: Callable[[Any], Any] = lambda features: features) -> None:
        super().__init__(None)
        self.streams, self.given = streams, given

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.given(super().encode_snippets(snippets))  # type: ignore[no-any-return]


@pytest.mark.parametrize("batch", [0, 4])
@pytest.mark.parametrize(
    ("streams", "given", "found", "expected"),
    [
        ({"a": (0, 1), "b": (1, 168)}, lambda features: features, "features of shape (4, 1)", "(4, 168)"),
        ({"a": (0, 1)}, lambda features: features.repeat(2, 1), "features of shape (4, 2)", "(4, 1)"),
        ({"a": (0, 1)}, lambda features: features[1:], "features of shape (3, 1)", "(4, 1)"),
        ({"a": (0, 1)}, lambda features: features.repeat(2, 0), "features of shape (8, 1)", "(4, 1)"),
        ({"a": (0, 1)}, lambda features: features[:, 0], "features of shape (4,)", "(4, 1)"),
        ({"a": (0, 1)}, lambda features: features.tolist(), "a list", "(4, 1)"),
    ],
)
def test_features_that_are_not_what_the_backbone_declares_are_refused(
    videos: list[VideoSource], streams: Any, given: Any, found: str, expected: str, batch: int
) -> None:
    backbone = Lying(streams, given)
    backbone.encode_run = lambda pictures, windows: backbone.encode_snippets(  # type: ignore[method-assign]
        np.stack(list(windows.of_run(pictures)))
    )
    backbone.run_length = lambda windows: 4  # type: ignore[method-assign]
    wrong = f"backbone 'Lying', stream rgb: gave {found}, expected {expected}: snippets, channels of its `streams` "
    with pytest.raises(UsageError, match=re.escape(f"{wrong}{streams}")):
        run(videos[3:4], backbone, batch)


def test_a_run_is_encoded_to_a_row_a_snippet(videos: list[VideoSource]) -> None:
    backbone = Sharing()
    backbone.encode_run = lambda pictures, windows: np.zeros((1, 1), np.float32)  # type: ignore[method-assign]
    with pytest.raises(UsageError, match=r"gave features of shape \(1, 1\), expected \(3, 1\)"):
        run(videos[3:4], backbone, batch=0)


def test_rows_of_another_number_type_are_refused(videos: list[VideoSource]) -> None:
    backbone = Sharing()
    backbone.encode_run = lambda pictures, windows: np.zeros((3, 1))  # type: ignore[method-assign]
    with pytest.raises(UsageError, match=r"gave features of type float64, expected float32"):
        run(videos[3:4], backbone, batch=0)


class WholeVideos(Backbone):
    """Sees whole videos, and gives these rows, looking at the first pictures only."""

    frame_format = FrameFormat("gray", short_side=16)
    streams: ClassVar = {"whole": (0, 2)}

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        super().__init__(None)
        self.shapes = shapes

    def encode(self, pictures: Any, windows: Any, threads: Any = None) -> Iterator[NDArray[np.float32]]:
        next(pictures)
        for shape in self.shapes:
            yield np.zeros(shape, np.float32)


def test_a_backbone_that_sees_whole_videos_gives_a_row_a_snippet(videos: list[VideoSource]) -> None:
    assert {name: len(rows) for name, rows in values(run(videos[3:4], WholeVideos((4, 2), (1, 2)))).items()} == {"3": 5}
    for shapes, wrong in [
        (((4, 2),), "gave features of 4 snippets of a video of 50 pictures, expected 5"),
        ((), "gave features of 0 snippets of a video of 50 pictures, expected 5"),
        (((5, 2), (1, 2)), "gave features of 6 snippets of a video of 50 pictures, expected 5"),
        (((5, 3),), r"gave features of shape \(5, 3\), expected \(any number, 2\)"),
    ]:
        with pytest.raises(UsageError, match=f"backbone 'WholeVideos', stream rgb: {wrong}"):
            run(videos[3:4], WholeVideos(*shapes))


@pytest.mark.parametrize(
    "streams",
    [
        {},
        None,
        "ab",
        {"a": 3},
        {"a": (0, 0)},
        {"a": (1, 2)},
        {"a": (0, 1.0)},
        {"a": (0, 2), "b": (1, 3)},
        {"a": (0, 1), "b": (2, 3)},
    ],
)
def test_streams_that_cannot_be_are_refused_before_anything_is_read(streams: Any) -> None:
    encoder = Encoder([Lying(streams)], FlowSettings("dis"), SETTINGS.windows, 1, ["mine"])
    with pytest.raises(
        UsageError, match=r"backbone 'mine', stream rgb: its `streams` are .*, expected \{NAME: \(first"
    ):
        encoder.streams  # noqa: B018 (asking is the test)


def test_streams_may_be_any_whole_numbers() -> None:
    encoder = Encoder([Lying({"b": [1, np.int64(3)], "a": (0, 1)})], FlowSettings("dis"), SETTINGS.windows, 1)
    assert orjson.dumps(encoder.streams) == b'{"b":[1,3],"a":[0,1]}'


def test_streams_of_two_backbones_have_names_of_their_own() -> None:
    backbones = [Lying({"flow": (0, 1)}), Sideways(None, "flow")]
    encoder = Encoder(backbones, FlowSettings("dis", "ultrafast"), SETTINGS.windows, 1, ["mine", "mine"])
    with pytest.raises(UsageError, match="'mine', stream flow: the stream before it has features named 'flow' too"):
        encoder.streams  # noqa: B018 (asking is the test)


def test_snippets_that_a_backbone_cannot_take_are_refused_at_once(videos: list[VideoSource]) -> None:
    class Picky(Mean):
        def check(self, windows: Any) -> None:
            raise UsageError("too short")

    with pytest.raises(UsageError, match="too short"):
        run(videos, Picky(None))


@pytest.mark.parametrize(
    ("running", "videos", "processes"),
    [
        (Resources(jobs=3), 10, 3),
        (Resources(jobs=3), 2, 2),
        (Resources(jobs=0, devices=("cuda:0", "cuda:1")), 10, 2),
        (Resources(jobs=4, devices=("cuda:0", "cuda:1")), 10, 4),
        (Resources(jobs=5), 0, 1),
    ],
)
def test_as_many_processes_as_asked_for_or_as_there_are_devices(
    running: Resources, videos: int, processes: int
) -> None:
    assert running.processes(videos) == processes


def test_jobs_are_cores_that_few_videos_share() -> None:
    assert Resources(jobs=4).concurrency(processes=4).threads == 1
    assert Resources(jobs=4).concurrency(processes=1).threads == 4
    assert Resources(jobs=1).concurrency(processes=1).threads == 1
    of_gpu = Resources(jobs=1, devices=("cuda:0",)).concurrency(processes=1)
    assert (of_gpu.threads, of_gpu.readers) == (2, available_cores())


def test_too_little_memory_names_the_mend(videos: list[VideoSource]) -> None:
    class OutOfMemoryError(RuntimeError): ...

    class Big(Counting):
        def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
            raise OutOfMemoryError

    with pytest.raises(UsageError, match="too little memory for 4 snippets at once: use a smaller --batch"):
        run(videos, Big(), batch=4)


def test_words_of_the_command_line_choose_where_to_work() -> None:
    assert Resources.on("cpu,cpu", "local").devices == ("cpu", "cpu")
    with pytest.raises(UsageError, match="did you mean 'ray'"):
        Resources.on("cpu", "rai")
    with pytest.raises(UsageError, match="torch cannot compute there"):
        Resources.on("nowhere", "local")


@pytest.mark.slow
def test_a_device_list_is_worked_on_in_turn(tmp_path: Path) -> None:
    videos = [VideoSource(str(n), str(write_video(tmp_path / f"{n}.mp4", 30, seed=n))) for n in range(3)]
    small = ["backbone.short_side=32", "backbone.crop=32"]
    words: dict[str, Any] = {"backbone": "i3d", "weights": "random", "fps": "own", "set_": small, "provenance": False}
    for name, device, jobs in (("one", "cpu", 1), ("two", "cpu,cpu:0", 2)):
        extract(*videos, output=tmp_path / f"{name}.h5", stride=16, window=8, device=device, jobs=jobs, **words)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
