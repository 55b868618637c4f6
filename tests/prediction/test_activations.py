"""`plot --kind activations`: values at their times, contrasts by hand, of feature files and of videos."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from extraction.short_videos import write_video
from plugin.tiny_data import TinyData, write_tiny_data
from project import Run
from torch import Tensor
from training_runs import Listener

from taltool.data.annotations import read_ground_truth
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import load_checkpoint
from taltool.extraction.extract import extract
from taltool.models.amnet.model import AMNet
from taltool.ops.plots_curves import ActivationPanels, activation_figure
from taltool.prediction import activations
from taltool.prediction.activations import plot_activations
from taltool.training.train import train

pytest.importorskip("matplotlib")

SMALL = {
    "amnet": ("model.width=16", "model.heads=2", "model.levels=3"),
    "afsd": ("model.width=32", "model.groups=8", "model.levels=3"),
    "gsmt": ("model.width=8", "model.mask_width=8"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TinyData:
    return write_tiny_data(tmp_path_factory.mktemp("activations"))


@pytest.fixture(scope="module")
def checkpoint(data: TinyData) -> Callable[..., Path]:
    """A network of each kind with windows of 16 snippets, of which neighbours share 8."""

    def made(model: str, *settings: str) -> Path:
        path = data.truth.with_name(f"{model}{'-'.join(settings)}.safetensors")
        if not path.exists():
            windows = ("sampling.resize=window", "sampling.length=16", "sampling.test_stride=8", "training.epochs=1")
            train(data.features, data.truth, model=model, output=path, set_=[*SMALL[model], *windows, *settings])
        return path

    return made


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[ActivationPanels]:
    """What is drawn, as figures are asked for it."""
    panels: list[ActivationPanels] = []

    def remember(videos: list[ActivationPanels]) -> Any:
        panels.extend(videos)
        return activation_figure(videos)

    monkeypatch.setattr(activations, "activation_figure", remember)
    return panels


def means_in(features: Path, video_id: str) -> Any:
    with h5py.File(features) as file:
        return file[video_id][:].mean(1)


def test_the_feature_of_amnet_is_the_mean_over_the_channels_of_the_file(
    data: TinyData, checkpoint: Callable[..., Path], drawn: list[ActivationPanels], tmp_path: Path
) -> None:
    """Snippets are half a second, the first one's middle at .25 s; windows that overlap say the same."""
    path = checkpoint("amnet", "sampling.normalize=none")
    found = plot_activations(
        data.features, data.truth, model=path, video=["v03", "v00"], output=tmp_path / "x.svg", name=["own"]
    )
    assert found.videos == ("v03", "v00")
    [first, second] = drawn
    assert first.title.startswith("v03")
    for video_id, panel in (("v03", first), ("v00", second)):
        expected = means_in(data.features, video_id)
        assert list(panel.quantities) == ["feature", "mask", "masked feature"]
        ([feature], [mask], [masked]) = panel.quantities.values()
        assert feature.name == "own"
        np.testing.assert_allclose(feature.y, expected, atol=1e-6)
        np.testing.assert_allclose(feature.x, 0.25 + 0.5 * np.arange(len(expected)))
        np.testing.assert_allclose(feature.y + mask.y, masked.y, atol=1e-6)
        assert np.abs(mask.y).max() > 1e-4
        annotations = json.loads(data.truth.read_text())["database"][video_id]["annotations"]
        assert panel.instances.tolist() == [each["segment"] for each in annotations]
    text = (tmp_path / "x.svg").read_text()
    assert all(word in text for word in ("v03", "v00", "masked feature", "seconds"))


def test_contrasts_are_means_inside_and_outside_of_instances(
    data: TinyData, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    """Over the validation videos, all of them, though another one is drawn."""
    listener = Listener()
    found = plot_activations(
        data.features,
        data.truth,
        model=checkpoint("amnet", "sampling.normalize=none"),
        subset="validation",
        video=["v00"],
        output=tmp_path / "x.png",
        reporter=listener,
    )
    values, inside = [], []
    for video_id, video in read_ground_truth(str(data.truth)).subset("validation").videos.items():
        own = means_in(data.features, video_id)
        middles = 0.25 + 0.5 * np.arange(len(own))
        values.append(own)
        inside.append([any(start <= middle <= end for start, end in video.segments) for middle in middles])
    value, is_inside = np.concatenate(values), np.concatenate(inside)
    contrast = found.contrasts[0]
    assert contrast.quantity == "feature"
    assert contrast.inside == pytest.approx(value[is_inside].mean(), abs=1e-6)
    assert contrast.outside == pytest.approx(value[~is_inside].mean(), abs=1e-6)
    gap = value[is_inside].mean() - value[~is_inside].mean()
    assert contrast.deviations == pytest.approx(gap / value.std(), rel=1e-4)
    assert len([line for line in listener.heard if "deviations" in line]) == len(found.contrasts) == 3
    assert found.videos == ("v00",)


def test_boundary_features_of_afsd_have_a_value_for_every_frame(
    data: TinyData, checkpoint: Callable[..., Path], drawn: list[ActivationPanels], tmp_path: Path
) -> None:
    """Two networks are two lines; of a video that one window holds they are what the frame-level stack gives."""
    words = ("sampling.length=48", "sampling.normalize=none", "model.frames_per_snippet=4")
    paths = checkpoint("afsd", *words), checkpoint("afsd", *words, "model.bcl=none")
    plot_activations(data.features, model=paths, video=["v03"], output=tmp_path / "x.png", name=["with", "without"])
    [panel] = drawn
    assert list(panel.quantities) == ["start", "end"]
    assert panel.instances.shape == (0, 2)
    network = load_checkpoint(str(paths[0])).model
    seen: list[Tensor] = []
    network.get_submodule("refinement.frame_stack").register_forward_hook(lambda *call: seen.append(call[2]))
    with h5py.File(data.features) as file:
        values = torch.from_numpy(file["v03"][:].T)
    length = values.shape[1]
    padded, mask = torch.zeros(1, len(values), 48), torch.arange(48)[None] < length
    padded[0, :, :length] = values
    with torch.no_grad():
        network(padded, mask)
    expected = seen[0][0, :, : length * 4].unflatten(0, (2, -1)).mean(1)
    for name, own in zip(("start", "end"), expected.numpy(), strict=True):
        lines = panel.quantities[name]
        assert [line.name for line in lines] == ["with", "without"]
        np.testing.assert_allclose(lines[0].y, own, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(lines[0].x, (np.arange(length * 4) + 0.5) / 8)


def test_where_windows_overlap_their_mean_counts(
    data: TinyData, checkpoint: Callable[..., Path], drawn: list[ActivationPanels], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A network that says how many windows it has seen: 0, 1, 2; they begin 8 snippets apart and have 16."""
    seen = iter(range(100))

    def counting(self: AMNet, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return {"count": torch.full(mask.shape, float(next(seen)))}

    path = checkpoint("amnet", "sampling.normalize=none")
    monkeypatch.setattr(AMNet, "activations", counting)
    plot_activations(data.features, model=path, video=["v00"], output=tmp_path / "x.png")
    length = len(means_in(data.features, "v00"))
    starts = [0, 8, 16][: (length - 16) // 8 + 1]
    starts += [] if starts[-1] == length - 16 else [length - 16]
    expected = [
        # By how far from its ends each window has the place.
        np.average(
            [number for number, start in enumerate(starts) if start <= place < start + 16],
            weights=[min(place - s + 1, s + 16 - place) for s in starts if s <= place < s + 16],
        )
        for place in range(length)
    ]
    [line] = drawn[0].quantities["count"]
    np.testing.assert_allclose(line.y, expected)


@pytest.mark.slow
def test_four_videos_are_drawn_where_none_is_named(
    data: TinyData, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    listener = Listener()
    found = plot_activations(data.features, model=checkpoint("amnet"), output=tmp_path / "x.png", reporter=listener)
    assert found.videos == ("v00", "v01", "v02", "v03")
    assert found.contrasts == ()
    assert "4 of 12 videos drawn; --video ID chooses" in listener.heard


@pytest.mark.slow
def test_videos_are_drawn_as_their_features_are(drawn: list[ActivationPanels], tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        write_video(tmp_path / "videos" / f"{name}.mp4", 100 + 30 * seed, seed)
    settings = {"stride": 8, "set_": ["backbone.short_side=48", "backbone.grids=[1, 2]"], "jobs": 1}
    extract(tmp_path / "videos", output=tmp_path / "f.h5", **settings)  # type: ignore[arg-type]
    annotation = {"duration": 4, "subset": "training", "annotations": [{"segment": [1, 2], "label": "x"}]}
    (tmp_path / "gt.json").write_text(json.dumps({"database": {"a": annotation, "b": annotation}}))
    words = [*SMALL["amnet"], "training.epochs=1"]
    train(tmp_path / "f.h5", tmp_path / "gt.json", model="amnet", output=tmp_path / "m.safetensors", set_=words)
    for given in (tmp_path / "f.h5", tmp_path / "videos"):
        plot_activations(given, model=tmp_path / "m.safetensors", output=tmp_path / "x.png", video=["b"])
    of_file, of_video = (panel.quantities for panel in drawn)
    for name, lines in of_file.items():
        np.testing.assert_allclose(lines[0].y, of_video[name][0].y, atol=1e-6)
        np.testing.assert_allclose(lines[0].x, of_video[name][0].x)


def test_what_cannot_be_drawn_is_said(data: TinyData, checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    path = checkpoint("amnet")
    for words, reason in (
        ((data.truth,), "videos or a feature file"),
        ((data.features, data.truth, data.truth), "at most one ground truth"),
    ):
        with pytest.raises(UsageError, match=reason):
            plot_activations(*words, model=path, output=tmp_path / "x.png")
    with pytest.raises(UsageError, match="gsmt has no activations to show; afsd and amnet have"):
        plot_activations(data.features, model=checkpoint("gsmt"), output=tmp_path / "x.png")
    with pytest.raises(UsageError, match=r"model\.refine = self"):
        plot_activations(data.features, model=checkpoint("afsd", "model.refine=self"), output=tmp_path / "x.png")
    with pytest.raises(DataError, match="no video 'v99'; --video names one of v00, v01"):
        plot_activations(data.features, model=path, video=["v99"], output=tmp_path / "x.png")
    with pytest.raises(UsageError, match="--name was given 2 times for 1 checkpoint"):
        plot_activations(data.features, model=path, name=["a", "b"], output=tmp_path / "x.png")


@pytest.mark.slow
def test_the_command_draws_them_where_a_model_is_named(
    taltool: Run, data: TinyData, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    path = checkpoint("amnet")
    done = taltool("plot", "-m", path, data.features, data.truth, "--subset", "validation", "-o", tmp_path / "x.svg")
    assert done.returncode == 0, done.stderr
    assert b"masked feature" in done.stderr
    assert "masked feature" in (tmp_path / "x.svg").read_text()
    for words, reason in (
        (("--kind", "activations", data.features), b"name it by --model"),
        (("--kind", "pr", "-m", path, data.truth), b"--model is for --kind activations"),
        (("-m", path, data.features, "--html", "x.html"), b"draw timelines, not --kind activations"),
    ):
        refused = taltool("plot", *words)
        assert refused.returncode == 2
        assert reason in refused.stderr
