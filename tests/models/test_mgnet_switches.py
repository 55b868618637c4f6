"""Every switch of MGNet runs and changes what it says; rows of its tables; odd inputs; proposals to detections."""

import json
from pathlib import Path

import pytest
import torch
from plugin.tiny_data import write_tiny_data
from project import Run
from torch import Tensor

from taltool.data.statistics import DatasetStatistics
from taltool.models.contract import Batch, Candidates, Targets
from taltool.models.mgnet.config import PRESETS, auto_settings
from taltool.models.mgnet.model import MGNet, MGNetConfig

LENGTH, CHANNELS = 16, 6
WHOLE = torch.ones(2, LENGTH, dtype=torch.bool)
TENTHS = [n / 10 for n in range(1, 10)]
# The rows of Tables 4 to 8 as switches.
ROWS: dict[str, list[dict[str, object]]] = {
    "table 4": [
        {"mask_map": form} for form in ("none", "fore_self", "fores_fores", "fores_fores_backs_adj", "all_fores")
    ],
    "table 5": [
        {"fusion": fusion}
        for fusion in ("mgt_only", "conv_only", "mgt_then_conv", "conv_then_mgt", "parallel_concat", "parallel_sum")
    ],
    "table 6": [*({"alpha_action": a} for a in TENTHS), *({"alpha_boundary": a} for a in TENTHS if a != 0.5)],
    "table 7": [{"dilation": kernel} for kernel in (1, 3, 5, 7, 9)],
    "table 8": [{"mgt_layers": layers} for layers in (1, 2, 3, 4)],
}
SWITCHES: list[dict[str, object]] = [
    {"streams": 1},
    {"mgt_norm": "pre"},
    {"mgt_norm": "post"},
    {"mgt_mixing": "conv"},
    {"mgt_places": "learned"},
    {"key_norm": True},
    {"center_cosine": True},
    {"logit_scale": 8.0},
    {"masking": "hadamard"},
    {"action_head": "sum"},
    {"candidates": "peaks"},
    {"most_snippets": 4},
]
LOSS_SWITCHES: list[dict[str, object]] = [
    {},
    {"boundary_half_width": 2},
    {"binary_loss": "text"},
    {"supervision": "every_head"},
    {"action_weight": 2.0},
    {"iou_loss": "mean"},
    {"iou_weight": 1.0},
]


def network(**switches: object) -> MGNet:
    torch.manual_seed(0)
    values = {"width": 16, "feature_width": 8, "proposal_width": 16, "head_width": 8, **switches}
    model = MGNet(MGNetConfig(**values), CHANNELS, 0, LENGTH)  # type: ignore[arg-type]
    # A fresh network calls everything foreground, and every boundary equally likely.
    heads = [] if model.mask_heads is None else list(model.mask_heads.heads)
    with torch.no_grad():
        for layer in (*heads, model.boundary.rest.output):
            layer.weight.mul_(30)  # type: ignore[operator, union-attr]
    return model


def batch(*segments: list[list[float]], features: Tensor | None = None) -> Batch:
    own = segments or ([[2.0, 7.0], [9.0, 10.5]], [[4.0, 14.0]])
    tensors = [torch.tensor(each, dtype=torch.float32).view(-1, 2) for each in own]
    labels = [torch.zeros(len(each), dtype=torch.int64) for each in tensors]
    if features is None:
        features = torch.randn(2, CHANNELS, LENGTH, generator=torch.Generator().manual_seed(3))
    return Batch(features, WHOLE, Targets(tensors, labels), ["a", "b"])


def total(model: MGNet, of: Batch | None = None) -> Tensor:
    torch.manual_seed(1)
    return torch.stack(list(model.training_loss(of or batch(), "all").values())).sum()


def said(model: MGNet) -> Candidates:
    with torch.no_grad():
        return model.eval().decode(model(batch().features, WHOLE), WHOLE)[0]


def assert_learns(model: MGNet, of: Batch) -> None:
    loss = total(model, of)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("table", ROWS)
def test_every_row_of_a_table_learns_and_differs_from_the_others(table: str) -> None:
    scores = []
    for switches in ROWS[table]:
        model = network(**switches)
        assert_learns(model, batch())
        untouched = [name for name, p in model.named_parameters() if p.grad is None]
        assert not untouched
        scores.append(tuple(said(model).scores.tolist()))
    # Neighbouring thresholds and large kernels may give a small network the same masks.
    assert len(set(scores)) >= (3 if table in ("table 6", "table 7") else len(scores))


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_a_switch_of_the_network_or_its_decoding_changes_the_proposals(switches: dict[str, object]) -> None:
    model, plain = network(**switches), network()
    assert_learns(model, batch())
    assert said(model).scores.tolist() != said(plain).scores.tolist()


@pytest.mark.parametrize(
    "switches", [{"fmg_attention": "cosine"}, {"fmg_norm": "pre"}, {"fmg_activation": "gelu"}], ids=str
)
def test_a_switch_of_the_mask_generator_changes_the_masks(switches: dict[str, object]) -> None:
    model, plain = network(**switches), network()
    assert_learns(model, batch())
    with torch.no_grad():
        found, wanted = (each.eval()(batch().features, WHOLE)["mask_logits"] for each in (model, plain))
    assert not torch.allclose(found, wanted)


def test_switches_of_the_loss_give_different_losses() -> None:
    assert len({round(total(network(**switches)).item(), 6) for switches in LOSS_SWITCHES}) == len(LOSS_SWITCHES)


def test_a_dropped_path_changes_the_training_only() -> None:
    plain, dropping = network(mgt_layers=2), network(mgt_layers=2, drop_path=0.9)
    assert total(plain).item() != total(dropping).item()
    assert torch.equal(said(plain).scores, said(dropping).scores)


@pytest.mark.parametrize("preset", ["paper", "code"])
@pytest.mark.parametrize(
    "segments",
    [([], []), ([[0.0, LENGTH]], []), ([[3.0, 3.0]], [[0.0, 0.001]]), ([[5.0, 6.0]] * 20, [[1.0, 2.0]])],
    ids=["no instance", "all positive", "empty and tiny", "many equal"],
)
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)
def test_odd_ground_truth_gives_finite_gradients(preset: str, segments: tuple, kind: torch.dtype) -> None:
    model = network(**{**PRESETS[preset]["model"], "iou_loss": "mean"})
    with torch.autocast("cpu", dtype=kind, enabled=kind != torch.float32):
        assert_learns(model, batch(*segments))


@pytest.mark.parametrize("preset", ["paper", "code"])
@pytest.mark.parametrize("value", [0.0, 1.0, 1e4])
def test_constant_features_give_finite_gradients(preset: str, value: float) -> None:
    model = network(**PRESETS[preset]["model"])
    assert_learns(model, batch(features=torch.full((2, CHANNELS, LENGTH), value)))


def test_saturated_heads_give_finite_gradients() -> None:
    model = network(supervision="every_head")
    with torch.no_grad():
        for head in (*model.mask_heads.heads, *model.action_heads.heads):  # type: ignore[union-attr]
            head.bias.fill_(300.0)  # type: ignore[operator, union-attr]
        model.boundary.rest.output.bias.copy_(torch.tensor([-300.0, 300.0]))
        model.completeness.rest.output.bias.fill_(-300.0)
    assert_learns(model, batch())


def test_one_snippet_makes_one_proposal() -> None:
    model = network().eval()
    with torch.no_grad():
        (found,) = model.decode(model(torch.randn(1, CHANNELS, 1), WHOLE[:1, :1]), WHOLE[:1, :1])
    assert found.segments.tolist() == [[0, 1]]


def test_windows_hold_long_instances_where_memory_allows() -> None:
    short = DatasetStatistics(40, 17, 28, 1.0, (212, 300, 552), tuple(float(n) for n in range(1, 61)))
    hours = DatasetStatistics(3, 2, 2048, 0.5, (9000, 13500), tuple(float(n) for n in range(2, 400)))
    assert auto_settings(short)["sampling"]["length"] >= 57
    assert auto_settings(hours)["sampling"]["length"] <= 256


@pytest.mark.slow
def test_proposals_flow_through_nms_evaluate_and_label_to_detections(taltool: Run, tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    checkpoint, kept, detections = (tmp_path / name for name in ("m.safetensors", "p.jsonl", "d.jsonl"))
    words = ("--set", "training.epochs=3", "--no-provenance")
    trained = taltool("train", "-m", "mgnet", data.features, data.truth, "-o", checkpoint, *words)
    assert trained.returncode == 0, trained.stderr
    found = taltool("predict", "-m", checkpoint, data.features, "--subset", "validation", "--ground-truth", data.truth)
    assert all("labels" not in json.loads(line) for line in found.stdout.splitlines()[1:-1])
    assert taltool("nms", "--preset", "mgnet-activitynet13", "-o", kept, stdin=found.stdout).returncode == 0
    recall = taltool("evaluate", data.truth, kept, "--format", "json", "--an", "100")
    assert 0 < json.loads(recall.stdout)["metrics"]["AR@100"] <= 1
    truth = json.loads(data.truth.read_text())["database"]
    scores = {video: {v["annotations"][0]["label"]: 1.0} for video, v in truth.items() if v["annotations"]}
    (tmp_path / "classes.json").write_text(json.dumps(scores))
    labelled = taltool("label", kept, "--classifier", tmp_path / "classes.json", "--skip-missing", "-o", detections)
    assert labelled.returncode == 0, labelled.stderr
    report = taltool("evaluate", data.truth, detections, "--format", "json", "--tiou", "0.3")
    assert 0 <= json.loads(report.stdout)["metrics"]["average_mAP"] <= 1
