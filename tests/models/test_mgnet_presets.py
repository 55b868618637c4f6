"""What MGNet's authors' code does beside its network: weight decay by layer, dropout, where proposals end."""

import pytest
import torch
from golden_weights import golden_shapes

from taltool.errors import UsageError
from taltool.models.mgnet.config import PRESETS, authors_decay
from taltool.models.mgnet.model import MGNet, MGNetConfig
from taltool.models.mgnet.pretrained import from_authors
from taltool.nn.proposal_sampling import upper_triangle

SMALL = {"streams": 1, "width": 16, "feature_width": 8, "proposal_width": 16, "head_width": 8}


def network(**switches: object) -> MGNet:
    torch.manual_seed(0)
    return MGNet(MGNetConfig(**{**SMALL, **switches}), 6, 0, 12)  # type: ignore[arg-type]


def their_decay(name: str) -> float:
    """The group of a parameter of the authors' network in their training script."""
    if "bias" in name:
        return 0.0
    if name.startswith("DSBNet."):
        return 2e-3 if name.startswith("DSBNet.conv") else 1e-4
    return 2e-4 if name.startswith("PropFeatGen") else 2e-5


def test_every_parameter_decays_as_in_the_authors_code() -> None:
    shapes = golden_shapes("mgnet_authors_keys.json")
    # The decay itself as the value finds its way to our name.
    marked = {name: torch.full(shape, their_decay(name)) for name, shape in shapes.items() if "pos_table" not in name}
    ours = from_authors(marked)
    assert {name: authors_decay(name) for name in ours} == {
        name: pytest.approx(value.flatten()[0].item()) for name, value in ours.items()
    }


def test_each_kind_of_layer_has_its_decay() -> None:
    found = {name: network().decay_of(name) for name, _ in network(supervision="every_head").named_parameters()}
    assert found["fused.0.local.first.conv.weight"] == 2e-3
    assert found["boundary_heads.heads.0.weight"] == 2e-3
    assert found["fused.0.action.layers.0.block.expand.weight"] == 1e-4
    assert found["mask_heads.heads.0.weight"] == 1e-4
    assert found["boundary.points.weight"] == 2e-4
    assert found["boundary.enter.weight"] == 2e-5
    assert found["completeness.rest.output.weight"] == 2e-5
    assert {decay for name, decay in found.items() if name.endswith("bias")} == {0.0}


def test_proposals_begin_and_end_half_a_snippet_later_where_asked() -> None:
    said = {f"{name}_logits": torch.zeros(1, 6) for name in ("start", "end", "completeness")}
    (found,) = network(edge_shift=0.5).decode(said, torch.ones(1, 3, dtype=torch.bool))
    first, last = upper_triangle(3)
    assert found.segments.tolist() == [[i + 0.5, j + 1.5] for i, j in zip(first.tolist(), last.tolist(), strict=True)]


def test_the_thumos_script_of_the_code_joins_its_network_with_its_candidates() -> None:
    script = {"candidates": "peaks", "least_snippets": 5, "most_snippets": 64, "edge_shift": 0.5}
    values = PRESETS["code-thumos14"]["model"]
    assert {**PRESETS["code"]["model"], **script} == values
    MGNetConfig(**values)


@pytest.mark.parametrize("name", ["paper", "activitynet13", "thumos14"])
def test_presets_of_the_text_keep_every_pair_and_weigh_every_term_once(name: str) -> None:
    config = MGNetConfig(**PRESETS[name]["model"])
    assert (config.candidates, config.least_snippets, config.most_snippets) == ("all", 1, 0)
    assert (config.action_weight, config.iou_weight) == (1, 1)


def test_the_embedding_is_dropped_in_training_alone() -> None:
    features, mask = torch.randn(1, 6, 12), torch.ones(1, 12, dtype=torch.bool)
    model = network(embedding_dropout=0.5, dropout=0.0, head_dropout=0.0)
    assert not torch.equal(model(features, mask)["start_logits"], model(features, mask)["start_logits"])
    model.eval()
    assert torch.equal(model(features, mask)["start_logits"], model(features, mask)["start_logits"])


@pytest.mark.parametrize("switches", [{"edge_shift": 1.0}, {"embedding_dropout": 1.0}])
def test_switches_out_of_range_are_refused(switches: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="mgnet:"):
        MGNetConfig(**switches)  # type: ignore[arg-type]
