"""What every backbone promises; a new file in taltool/backbones is tested without a change here."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone
from taltool.errors import UsageError
from taltool.video.windows import Windows

NAMES = BACKBONES.names()


def made(name: str) -> Backbone:
    kind: type[Backbone] = BACKBONES.load(name)
    return kind(kind.Config())


def pictures(backbone: Backbone, length: int) -> NDArray[np.uint8]:
    height, width = backbone.frame_format.size(48, 64)
    colours = () if backbone.frame_format.pixels == "gray" else (3,)
    return np.random.default_rng(0).integers(0, 256, (length, height, width, *colours), np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_streams_cover_the_channels_and_every_snippet_has_a_row(name: str) -> None:
    backbone = made(name)
    windows = Windows(backbone.window, backbone.stride)
    frames = pictures(backbone, backbone.window + 2 * backbone.stride)
    rows = np.concatenate(list(backbone.encode(frames, windows)))
    ends = sorted(backbone.streams.values())
    assert [first for first, _ in ends] == [0, *(last for _, last in ends[:-1])]
    assert rows.shape == (3, ends[-1][1])
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("name", NAMES)
def test_videos_do_not_influence_each_other(name: str) -> None:
    backbone = made(name)
    windows = Windows(backbone.window, backbone.stride)
    first, second = pictures(backbone, backbone.window), pictures(backbone, backbone.window + 3)[3:]
    before = np.concatenate(list(backbone.encode(first, windows)))
    np.concatenate(list(backbone.encode(second, windows)))
    np.testing.assert_array_equal(np.concatenate(list(backbone.encode(first, windows))), before)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_frozen_and_have_defaults(name: str) -> None:
    kind = BACKBONES.load(name)
    assert dataclasses.is_dataclass(kind.Config)
    assert kind.Config.__dataclass_params__.frozen
    assert kind.Config() == kind.Config()


def test_an_unknown_backbone_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UsageError, match="did you mean 'hog3d'"):
        BACKBONES.load("hog3")
