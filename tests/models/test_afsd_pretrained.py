"""Weights that AFSD from pixels may begin with: I3D's alone, its authors' whole network, and files that do not fit."""

from pathlib import Path

import pytest
import torch
from golden_weights import golden_shapes
from torch import Tensor

from taltool.errors import DataError
from taltool.experiment.checkpoint import load_pretrained
from taltool.models.afsd.model import AFSD, AFSDConfig
from taltool.nn.clips.inception_i3d import InceptionI3D
from taltool.reporting import Reporter

BACKBONE = "pyramid.backbone."


class Notes(Reporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        """Keep it."""
        self.notes.append(message)


def small(**switches: object) -> AFSD:
    settings = {
        "input": "frames",
        "crop": 32,
        "backbone_divisor": 16,
        "width": 32,
        "groups": 8,
        "levels": 3,
        **switches,
    }
    torch.manual_seed(0)
    return AFSD(AFSDConfig(**settings), 3, 3, 64)  # type: ignore[arg-type]


def saved(tensors: dict[str, Tensor], folder: Path, name: str = "rgb_imagenet.pt") -> str:
    torch.save(tensors, folder / name)
    return str(folder / name)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_public_i3d_fills_the_backbone_alone_without_its_classifier(tmp_path: Path, prefix: str) -> None:
    torch.manual_seed(1)
    public = InceptionI3D(3, classes=5, divisor=16).state_dict()
    # Checkpoints of old versions of torch count no batches.
    kept = {prefix + name: value for name, value in public.items() if not name.endswith("num_batches_tracked")}
    model, told = small(), Notes()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    load_pretrained(model, saved(kept, tmp_path), told)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items() if not name.startswith(BACKBONE))
    assert all(torch.equal(after[BACKBONE + name], public[name]) for name in public if not name.startswith("logits."))
    assert told.notes == [
        f"--init {tmp_path}/rgb_imagenet.pt: the weights of pyramid.backbone alone, without logits.conv3d.weight, "
        "logits.conv3d.bias; the rest begins at random"
    ]


def test_the_whole_network_is_filled_without_a_word(tmp_path: Path) -> None:
    other, model, told = small(), small(), Notes()
    for value in other.state_dict().values():
        value += 1
    load_pretrained(model, saved(other.state_dict(), tmp_path), told)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    assert told.notes == []


def lines_of_a_terminal(message: str) -> int:
    return sum(-(-len(line) // 80) for line in message.splitlines())


@pytest.mark.parametrize(
    ("switches", "file", "said"),
    [
        ({}, "i3d_keys.json", "Conv3d_1a_7x7.conv3d.weight (64, 3, 7, 7, 7) instead of (4, 3, 7, 7, 7)"),
        ({}, "afsd_official_keys.json", "12 tensors unexpected (pyramid.coarse.reductions.1.conv.weight, "),
        ({"input": "features"}, "i3d_keys.json", "tensors unexpected (pyramid.backbone.Conv3d_1a_7x7.conv3d.weight, "),
        ({"input": "features"}, "afsd_official_keys.json", "12 tensors missing (pyramid.projection.conv.weight, "),
        ({}, "mgnet_authors_keys.json", " tensors missing (pyramid.backbone.Conv3d_1a_7x7.conv3d.weight, "),
    ],
)
def test_a_file_that_does_not_fit_is_told_in_few_lines(
    tmp_path: Path, switches: dict[str, object], file: str, said: str
) -> None:
    path = saved({name: torch.zeros(shape) for name, shape in golden_shapes(file).items()}, tmp_path, "w.pt")
    with pytest.raises(DataError) as caught:
        load_pretrained(small(**switches), path)
    message = str(caught.value)
    assert message.startswith(f"--init {path}: these weights are of another network")
    assert said in message
    assert lines_of_a_terminal(message.replace(path, "weights.pt")) <= 15
    assert "of I3D alone (rgb_imagenet.pt): model.input=frames, model.backbone_divisor=1" in message


def test_a_tensor_that_no_such_network_has_is_named_with_its_file(tmp_path: Path) -> None:
    odd = {"coarse_pyramid_detection.attention.weight": torch.zeros(1)}
    with pytest.raises(
        DataError, match=r"--init .*odd\.pt: tensor 'coarse_pyramid_detection\.attention\.weight' is not"
    ):
        load_pretrained(small(), saved(odd, tmp_path, "odd.pt"))
