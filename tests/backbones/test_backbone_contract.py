"""What every backbone promises; a new file in taltool/backbones is tested without a change here."""

import dataclasses
import inspect
import tomllib
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from project import PROJECT
from small_backbones import computing, made, pictures

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone, Stream
from taltool.data.packaged import Packaged
from taltool.errors import UsageError
from taltool.extraction.settings import ExtractionSettings
from taltool.video.frames import FrameFormat
from taltool.video.snippet_windows import SnippetWindows

NAMES = BACKBONES.names()
# The extras that may be asked for: pip install 'taltool[pretrained]'.
PROVIDED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
STREAMS = [(name, stream) for name in NAMES for stream in BACKBONES.load(name).inputs]


def encoded(backbone: Backbone, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.concatenate(list(backbone.encode(frames, SnippetWindows(backbone.window, backbone.stride))))


def class_variables(kind: type[Backbone]) -> set[str]:
    """The names that a backbone's class and those that it derives from declare for classes."""
    declared = {}
    for base in reversed(kind.__mro__):
        declared |= inspect.get_annotations(base)
    return {name for name, hint in declared.items() if "ClassVar" in str(hint)}


@pytest.mark.parametrize(("name", "stream"), STREAMS)
def test_what_its_class_says_holds_for_every_object(name: str, stream: Stream) -> None:
    kind, backbone = BACKBONES.load(name), made(name, stream)
    names = class_variables(kind)
    assert {"Config", "window", "stride", "inputs", "published"} <= names
    for each in names:
        assert getattr(backbone, each) is getattr(kind, each), each


@pytest.mark.parametrize(("name", "stream"), STREAMS)
def test_streams_cover_the_channels_and_every_snippet_has_a_row(name: str, stream: Stream) -> None:
    backbone = made(name, stream)
    rows = encoded(backbone, pictures(backbone, backbone.window + 2 * backbone.stride))
    ends = sorted(backbone.streams.values())
    assert [first for first, _ in ends] == [0, *(last for _, last in ends[:-1])]
    assert (len(rows), rows.shape[-1]) == (3, ends[-1][1])
    assert (rows.ndim, rows.dtype) == ((4, np.uint8) if backbone.gives_pictures else (2, np.float32))
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("name", computing(NAMES))
def test_videos_do_not_influence_each_other(name: str) -> None:
    backbone = made(name)
    first, second = pictures(backbone, backbone.window), pictures(backbone, backbone.window + 3)[3:]
    before = encoded(backbone, first)
    encoded(backbone, second)
    np.testing.assert_array_equal(encoded(backbone, first), before)


@pytest.mark.parametrize("name", computing(NAMES))
def test_what_is_seen_of_a_picture_is_all_that_counts(name: str) -> None:
    backbone = made(name)
    frames = pictures(backbone, backbone.window)
    seen = np.stack([backbone.seen(frame) for frame in frames])
    np.testing.assert_array_equal(encoded(backbone, seen), encoded(backbone, frames))


@pytest.mark.parametrize("name", computing(NAMES))
def test_pictures_that_are_not_looked_at_change_nothing(name: str) -> None:
    backbone = made(name)
    windows = SnippetWindows(backbone.window, backbone.stride)
    frames = pictures(backbone, backbone.window)
    others = pictures(backbone, backbone.window, seed=1)
    looked_at = list(backbone.positions(windows))
    assert looked_at == sorted({*looked_at} & {*range(windows.window)}) != []
    others[looked_at] = frames[looked_at]
    np.testing.assert_array_equal(encoded(backbone, others), encoded(backbone, frames))


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_frozen_and_have_defaults(name: str) -> None:
    config = BACKBONES.load(name).Config()
    for field in dataclasses.fields(config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, field.name, getattr(config, field.name))


@pytest.mark.parametrize("name", NAMES)
def test_the_window_that_it_prefers_is_one_that_it_takes(name: str) -> None:
    kind: type[Backbone] = BACKBONES.load(name)
    assert [stream for stream in kind.inputs if not takes(kind, stream, kind.window)] == []


def takes(kind: type[Backbone], stream: Stream, window: int) -> bool:
    """Whether it accepts snippets of so many frames."""
    try:
        kind(kind.Config(), stream).check(SnippetWindows(window, kind.stride))
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_published_weights_are_for_streams_that_it_has_and_can_be_verified(name: str) -> None:
    kind: type[Backbone] = BACKBONES.load(name)
    assert set(kind.published) <= set(kind.inputs)
    assert kind.needs_weights or not kind.published
    for published in kind.published.values():
        algorithm, _, checksum = published.checksum.partition(":")
        if isinstance(published, Packaged):
            assert published.extra in PROVIDED
        else:
            assert published.url.startswith("https://")
        assert algorithm in ("git", "sha256")
        assert len(bytes.fromhex(checksum)) >= 4


@pytest.mark.parametrize("name", [name for name in NAMES if "flow" not in BACKBONES.load(name).inputs])
def test_a_stream_that_it_has_not_is_refused(name: str) -> None:
    kind = BACKBONES.load(name)
    with pytest.raises(UsageError, match="takes rgb only"):
        kind(kind.Config(), "flow")


@dataclasses.dataclass(frozen=True)
class Config: ...


def encode_snippets(self: Backbone, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
    return snippets.mean((2, 3), dtype=np.float32)


WHOLE = {
    "Config": Config,
    "window": 2,
    "stride": 1,
    "frame_format": FrameFormat("gray", 8),
    "streams": {"mean": (0, 2)},
    "encode_snippets": encode_snippets,
}


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({name: each for name, each in WHOLE.items() if name != "Config"}, "Mine does not define Config"),
        ({name: each for name, each in WHOLE.items() if name != "streams"}, "Mine does not define streams"),
        (
            {name: each for name, each in WHOLE.items() if name != "encode_snippets"},
            r"Mine does not define encode_snippets \(or encode\)",
        ),
        (
            {"Config": Config, "stride": 1},
            r"Mine does not define window, frame_format, streams, encode_snippets \(or encode\)",
        ),
        (WHOLE | {"Config": dict}, "Config of Mine is no dataclass"),
    ],
)
def test_a_backbone_that_is_not_complete_is_refused(
    members: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BACKBONES, "_entries", BACKBONES._entries | {"mine": type("Mine", (Backbone,), members)})
    with pytest.raises(UsageError, match=f"^backbone 'mine': {complaint}$"):
        ExtractionSettings.of("mine")
    of_its_own = {"__annotations__": {"unset": ClassVar[int]}}
    monkeypatch.setitem(BACKBONES._entries, "mine", type("Mine", (Backbone,), WHOLE | of_its_own))
    assert [each.config for each in ExtractionSettings.of("mine").backbones] == [Config()]


def test_what_is_no_backbone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for entry in (encode_snippets, type("Mine", (), WHOLE)):
        monkeypatch.setattr(BACKBONES, "_entries", BACKBONES._entries | {"mine": entry})
        with pytest.raises(
            UsageError, match=r"^backbone 'mine': what is registered is no class that derives from Back"
        ):
            ExtractionSettings.of("mine")


def test_an_unknown_backbone_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match="did you mean 'hog3d'"):
        BACKBONES.load("hog3")
