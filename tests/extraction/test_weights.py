"""`--weights`: which file each stream gets, and what is read from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from taltool.backbones.contract import Computing, Stream
from taltool.backbones.hog3d import HOG3D
from taltool.backbones.i3d_r50 import I3DR50
from taltool.backbones.tsn import TSN
from taltool.data.downloads import Published, digest
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import read_tensors
from taltool.extraction.weights import Weights, make_backbone, resolve_weights

BOTH: tuple[Stream, ...] = ("rgb", "flow")
CONFIG = TSN.Config(short_side=32, crop=32)


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """A checkpoint of TSN as it circulates."""
    state = TSN(CONFIG).network.state_dict()
    named = {f"backbone.{name}": value for name, value in state.items()}
    squeezed = {name: value[:, :, 0] if value.dim() == 5 else value for name, value in named.items()}
    return {name: value + 0.01 if value.is_floating_point() else value for name, value in squeezed.items()}


@pytest.fixture
def saved(tmp_path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save({"state_dict": tensors, "meta": {"epoch": 3}}, tmp_path / "tsn.pth")
    return tmp_path / "tsn.pth"


def test_weights_that_are_missing_are_asked_for_with_their_address() -> None:
    with pytest.raises(
        UsageError, match=r"needs weights: --weights auto fetches https://\S+\.pth, --weights FILE reads"
    ):
        resolve_weights(TSN, ("rgb",))
    with pytest.raises(UsageError, match=r"needs weights for flow: .*--weights flow=FILE"):
        resolve_weights(TSN, BOTH, ["rgb=random"])


def test_weights_for_a_backbone_without_are_refused() -> None:
    with pytest.raises(UsageError, match="has no weights"):
        resolve_weights(HOG3D, ("rgb",), ["random"])
    assert resolve_weights(HOG3D, ("rgb",)) == {}


def test_one_file_for_two_streams_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--weights rgb=w\.pt or --weights flow=w\.pt"):
        resolve_weights(TSN, BOTH, ["w.pt"])


def test_a_stream_that_is_not_asked_for_gets_no_weights() -> None:
    with pytest.raises(UsageError, match=r"--weights flow=w\.pt: --stream does not ask for flow"):
        resolve_weights(TSN, ("rgb",), ["flow=w.pt"])


def test_a_stream_that_is_named_wins_over_a_word_for_all(saved: Path) -> None:
    chosen = resolve_weights(TSN, BOTH, [f"rgb={saved}", "random"])
    assert chosen == {"rgb": Weights(str(saved), digest(saved)), "flow": Weights(None, "random")}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.pt: No such file"):
        resolve_weights(TSN, ("rgb",), [str(tmp_path / "gone.pt")])


def test_published_weights_are_fetched_into_the_cache(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(TSN, "published", {"rgb": Published(saved.as_uri(), digest(saved)[:15])})
    chosen = resolve_weights(TSN, ("rgb",), ["auto"])["rgb"]
    assert Path(str(chosen.path)).parent == tmp_path / "cache"
    assert chosen.identity == digest(saved)
    assert make_backbone(TSN, CONFIG, "rgb", chosen, Computing()).streams == {"rgb": (0, 2048)}
    with pytest.raises(UsageError, match="nobody publishes weights of this backbone for flow"):
        resolve_weights(TSN, ("flow",), ["auto"])


def features(weights: Weights | None) -> np.ndarray:
    pictures = np.random.default_rng(0).integers(0, 256, (1, 5, 32, 40, 3), np.uint8)
    return make_backbone(TSN, CONFIG, "rgb", weights, Computing()).encode_snippets(pictures)


@pytest.mark.slow
def test_weights_decide_the_features_and_their_container_does_not(
    saved: Path, tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    torch.save(tensors, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "tsn.safetensors")
    expected = features(Weights(str(saved), ""))
    for other in ("old.pt", "tsn.safetensors"):
        np.testing.assert_array_equal(features(Weights(str(tmp_path / other), "")), expected)
    assert np.abs(features(Weights(None, "random")) - expected).max() > 0


def test_a_checkpoint_of_another_network_is_refused_with_its_file(tmp_path: Path) -> None:
    torch.save({"stem.0.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(
        DataError, match=r"other\.pt: not a checkpoint of this network: .*unexpected \(stem\.0\.weight\)"
    ):
        features(Weights(str(tmp_path / "other.pt"), ""))


def test_a_checkpoint_is_tried_before_any_video_is_read(tmp_path: Path) -> None:
    torch.save({"stem.0.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(DataError, match="not a checkpoint of this network"):
        resolve_weights(TSN, ("rgb",), [str(tmp_path / "other.pt")], config=CONFIG)


class Malicious:
    """Runs code where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Malicious(tmp_path / "ran")}, tmp_path / "bad.pt")
    with pytest.raises(DataError, match=r"holds getattr beside tensors, which could run code.*safetensors"):
        read_tensors(str(tmp_path / "bad.pt"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"hello world, this is text\n" * 9, b"PK\x03\x04broken"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"w\.pt: not a checkpoint that torch can read"):
        read_tensors(str(tmp_path / "w.pt"))


def test_weights_that_are_not_finite_are_refused_before_anything_is_extracted(
    tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    name = next(iter(tensors))
    path = tmp_path / "tsn.pth"
    torch.save(tensors | {name: torch.full_like(tensors[name], torch.nan)}, path)
    with pytest.raises(DataError, match=rf"tsn\.pth: tensor '{name}' holds values that are not finite"):
        resolve_weights(TSN, ("rgb",), [str(path)], config=CONFIG)


def test_a_file_without_named_tensors_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.pt")
    with pytest.raises(DataError, match="holds no tensors with names"):
        read_tensors(str(tmp_path / "list.pt"))


@pytest.mark.slow
def test_what_was_changed_in_weights_stands_in_the_record(tmp_path: Path) -> None:
    config = I3DR50.Config(short_side=32, crop=32)
    torch.save(I3DR50(config).network.state_dict(), tmp_path / "r50.pth")
    word = str(tmp_path / "r50.pth")
    chosen = resolve_weights(I3DR50, BOTH, [f"rgb={word}", f"flow={word}"], config=config)
    checksum = digest(tmp_path / "r50.pth")
    assert chosen["rgb"].identity == checksum
    assert chosen["flow"].identity == f"{checksum} (its first filters' mean over the colours for x and y)"
