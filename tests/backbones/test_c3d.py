"""C3D subtracts the mean clip that its authors' program subtracts."""

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_backbones import made

from taltool.backbones._network import NetworkBackbone
from taltool.errors import DataError


def varint(value: int) -> bytes:
    """A number as protocol buffers store it."""
    rest = value >> 7
    return bytes([value & 127 | (128 if rest else 0)]) + (varint(rest) if rest else b"")


def caffe_file(clip: NDArray[np.floating]) -> bytes:
    """A clip (3, T, H, W) as a BlobProto: num 1, channels, length, height, width, packed data."""
    head = b"".join(bytes([8 * field]) + varint(value) for field, value in enumerate((1, *clip.shape), 1))
    return head + b"\x32" + varint(4 * clip.size) + struct.pack(f"<{clip.size}f", *clip.flat)


@pytest.fixture(scope="module")
def mean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NDArray[np.float32]]:
    clip = np.random.default_rng(0).uniform(80, 110, (3, 16, 128, 171)).astype(np.float32)
    path = tmp_path_factory.mktemp("mean") / "mean.binaryproto"
    path.write_bytes(caffe_file(clip))
    return path, clip


def test_the_mean_clip_is_subtracted_frame_by_frame_where_it_is_seen(mean: tuple[Path, NDArray[np.float32]]) -> None:
    path, clip = mean
    backbone = made("c3d", mean=str(path))
    assert isinstance(backbone, NetworkBackbone)
    red, green, blue = (torch.full((1, 1, 16, 112, 112), value) for value in (200.0, 150.0, 50.0))
    found = backbone.normalised(torch.cat([red, green, blue], 1))[0]
    # Blue first; the middle 112 of 128 and of 171 pixels begin at 8 and 29.
    for channel, value in enumerate((50, 150, 200)):
        np.testing.assert_allclose(found[channel], value - clip[channel, :, 8:120, 29:141], rtol=1e-6)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-4], "a mean clip that is cut off"),
        (lambda content: content + b"\x32\x00", "a mean clip that is cut off, or holds more than one"),
        (lambda content: content[:-4] + struct.pack("<f", math.nan), "holds values that are not finite"),
        (lambda content: content[:3], "not a mean clip"),
        (lambda content: b"", "not a mean clip"),
        (lambda content: b"\x89HDF" + content, "not a mean clip"),
    ],
)
def test_a_file_that_is_no_mean_clip_is_refused(
    mean: tuple[Path, NDArray[np.float32]], tmp_path: Path, damage: object, message: str
) -> None:
    assert callable(damage)
    path = tmp_path / "damaged"
    path.write_bytes(damage(mean[0].read_bytes()))
    with pytest.raises(DataError, match=message):
        made("c3d", mean=str(path))


def test_a_mean_clip_of_another_size_is_refused_with_both(tmp_path: Path) -> None:
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(caffe_file(np.zeros((3, 16, 128, 128))))
    with pytest.raises(DataError, match="3 x 16 x 128 x 128, not 3 x 16 x 128 x 171"):
        made("c3d", mean=str(path))
    made("c3d", mean=str(path), width=128)
