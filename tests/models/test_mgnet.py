"""MGNet: its masks, labels, losses and score fusion worked by hand, its sizes, and parity with the authors' network."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from golden_weights import drawn_weights, golden_answers
from torch import Tensor, nn

from taltool.errors import DataError, UsageError
from taltool.models.contract import Outputs
from taltool.models.mgnet.attention import binarised, dilated, mask_map
from taltool.models.mgnet.config import PRESETS
from taltool.models.mgnet.loss import mean_logits, sampled_smooth_l1
from taltool.models.mgnet.model import MGNet, MGNetConfig, mean_over_cells
from taltool.models.mgnet.pretrained import from_authors
from taltool.nn.proposal_sampling import upper_triangle
from taltool.nn.whole_batch import Drawn, WholeBatch

Golden = dict[str, np.ndarray]
SMALL = {"streams": 2, "width": 16, "feature_width": 8, "proposal_width": 16, "head_width": 8}


def network(length: int = 12, **switches: object) -> MGNet:
    torch.manual_seed(0)
    return MGNet(MGNetConfig(**{**SMALL, **switches}), 6, 0, length)  # type: ignore[arg-type]


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def all_valid(samples: int, length: int) -> Tensor:
    return torch.ones(samples, length, dtype=torch.bool)


# Parity


@pytest.fixture(scope="module")
def authors() -> dict[str, Tensor]:
    """The authors' tensors, drawn by name."""
    return drawn_weights("mgnet_authors_keys.json")


@pytest.fixture(scope="module")
def golden(authors: dict[str, Tensor]) -> tuple[Golden, MGNet, Outputs]:
    """The authors' maps, our network with their weights, and what it says of the same input."""
    model = MGNet(MGNetConfig(**PRESETS["code"]["model"]), 400, 0, 100).eval()
    model.load_state_dict(MGNet.convert_state_dict(authors))
    features = np.random.default_rng(13).standard_normal((2, 400, 100)).astype(np.float32)
    with torch.no_grad():
        outputs = model(torch.from_numpy(features), all_valid(2, 100))
    return golden_answers("mgnet_authors_anet.npz"), model, outputs


@pytest.mark.slow
def test_masks_equal_the_authors(golden: tuple[Golden, MGNet, Outputs]) -> None:
    answers, _, outputs = golden
    masks = mean_logits(outputs["mask_logits"]).sigmoid().numpy()
    np.testing.assert_allclose(masks, answers["masks"], atol=1e-4)


@pytest.mark.parametrize(("ours", "theirs"), [("completeness", "iou"), ("start", "start"), ("end", "end")])
def test_maps_equal_the_authors(golden: tuple[Golden, MGNet, Outputs], ours: str, theirs: str) -> None:
    answers, _, outputs = golden
    first, last = (each.numpy() for each in upper_triangle(100))
    found = outputs[f"{ours}_logits"].sigmoid().numpy()
    np.testing.assert_allclose(found, answers[theirs][:, first, last], atol=1e-4)


def test_sequences_equal_the_authors(golden: tuple[Golden, MGNet, Outputs]) -> None:
    """The RGB head's actions, and the boundaries of the head on both streams."""
    answers, _, outputs = golden
    np.testing.assert_allclose(outputs["action_logits"][:, :1].sigmoid().numpy(), answers["x1"], atol=1e-4)
    np.testing.assert_allclose(outputs["boundary_logits"][:, 2].sigmoid().numpy(), answers["boundary_x3"], atol=1e-4)


def test_a_tensor_that_the_authors_do_not_have_is_named(authors: dict[str, Tensor]) -> None:
    with pytest.raises(DataError, match=r"DSBNet\.conv9_1"):
        from_authors({**authors, "module.DSBNet.conv9_1.0.weight": torch.zeros(1)})


# Sizes


def test_the_networks_have_the_computed_numbers_of_parameters() -> None:
    code_layers = {"mgt_norm": "pre", "mgt_mixing": "conv", "mgt_places": "learned", "key_norm": True}
    with torch.device("meta"):
        model = MGNet(
            MGNetConfig(**code_layers, fmg_norm="pre", supervision="every_head"),  # type: ignore[arg-type]
            400,
            0,
            100,
        )
        released = MGNet(MGNetConfig(**PRESETS["code"]["model"]), 400, 0, 100)
    transformers = [part for each in model.encoders for part in (each.embed, each.attention, each.project)]
    blocks = [part for each in model.encoders for part in (each.block, each.norm)]
    assert parameters(*transformers, *blocks) == 6_509_568
    actions, boundaries = ([getattr(each, kind) for each in model.fused] for kind in ("action", "boundary"))
    assert parameters(*actions) - parameters(*(each.reduce for each in actions)) == 7_660_544
    assert parameters(*boundaries) - parameters(*(each.reduce for each in boundaries)) == 14_479_360
    local = [each.local for each in model.fused]
    assert parameters(*local, model.action_heads, model.boundary_heads) == 505_737
    assert parameters(model.completeness, model.boundary) == 2_369_795
    assert parameters(model) == 32_904_989
    assert parameters(released) == 75_943_709


# Masks


def test_foreground_is_what_reaches_a_share_of_the_highest_probability() -> None:
    scores = torch.tensor([[0.1, 0.2, 0.9, 0.8, 0.3, 0.37, 0.1, 0.05, 0.4, 0.7]])
    assert binarised(scores, 0.4, all_valid(1, 10)).int().tolist() == [[0, 0, 1, 1, 0, 1, 0, 0, 1, 1]]
    half = binarised(scores, 0.5, all_valid(1, 10))
    assert half.int().tolist() == [[0, 0, 1, 1, 0, 0, 0, 0, 0, 1]]
    assert dilated(half[:, None], 3).int().tolist() == [[[0, 1, 1, 1, 1, 0, 0, 0, 1, 1]]]
    assert torch.equal(dilated(half[:, None], 1), half[:, None])


def test_a_tie_with_the_threshold_is_foreground() -> None:
    assert binarised(torch.tensor([[0.5, 1.0, 0.25]]), 0.5, all_valid(1, 3)).tolist() == [[True, True, False]]


def test_padding_has_neither_the_highest_probability_nor_foreground() -> None:
    found = binarised(torch.tensor([[0.1, 0.3, 0.99]]), 0.5, torch.tensor([[True, True, False]]))
    assert found.tolist() == [[False, True, False]]


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9])
def test_growing_a_map_of_equal_rows_is_growing_one_row(kernel: int) -> None:
    foreground = torch.rand(3, 11, generator=torch.Generator().manual_seed(kernel)) > 0.8
    rows = foreground[:, None].expand(3, 11, 11)
    grown = mask_map(foreground, "all_fores", kernel)
    assert torch.equal(dilated(rows, kernel), grown.expand(3, 11, 11))


FOREGROUND = torch.tensor([[1, 1, 0, 0, 1]]).bool()


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ("none", ["11111"] * 5),
        ("all_fores", ["11001"] * 5),
        ("fore_self", ["11000", "11000", "00000", "00000", "00001"]),
        ("fores_fores", ["11001", "11001", "00000", "00000", "11001"]),
        ("fores_fores_backs_adj", ["11001", "11001", "01110", "00111", "11001"]),
    ],
)
def test_mask_maps_have_the_formations_of_figure_6(form: str, wanted: list[str]) -> None:
    found = mask_map(FOREGROUND, form, 1).expand(1, 5, 5)[0].int().tolist()  # type: ignore[arg-type]
    assert ["".join(map(str, row)) for row in found] == wanted


def test_a_mask_map_grows_in_both_directions() -> None:
    found = mask_map(torch.tensor([[0, 0, 1, 0, 0]]).bool(), "fore_self", 3)[0].int().tolist()
    assert ["".join(map(str, row)) for row in found] == ["00000", "01110", "01110", "01110", "00000"]


def test_the_masks_pass_no_gradient() -> None:
    model = network(supervision="mean")
    outputs = model(torch.randn(1, 6, 12), all_valid(1, 12))
    (outputs["start_logits"].sum() + outputs["completeness_logits"].sum()).backward()
    assert all(p.grad is None for p in (*model.encoders.parameters(), *model.mask_heads.parameters()))  # type: ignore[union-attr]


# Losses


def test_the_mean_of_probabilities_has_logits() -> None:
    logits = torch.tensor([[[-1.0, 40.0]], [[2.0, 60.0]]]).transpose(0, 1)
    found = mean_logits(logits)
    assert found[0, 0].sigmoid() == pytest.approx(
        (torch.tensor(-1.0).sigmoid() + torch.tensor(2.0).sigmoid()).item() / 2
    )
    assert found[0, 1] == pytest.approx(40 + np.log(2), abs=1e-4)  # 1 - mean = exp(-40) / 2


def test_completeness_is_learnt_from_all_high_cells_and_shares_of_the_others() -> None:
    torch.manual_seed(0)
    targets = torch.cat([torch.full((1000,), 0.9), torch.full((4000,), 0.5), torch.full((20000,), 0.1)])[None]
    valid = torch.ones_like(targets, dtype=torch.bool)
    only = [
        sampled_smooth_l1(targets + 2 * ((targets > low) & (targets <= high)), targets, valid).item()
        for low, high in ((0.6, 1), (0.2, 0.6), (0.0, 0.2))
    ]
    # Smooth L1 of a difference of 2 is 1.5; high : middle : low cells are 1 : 1 : 2.
    assert only == pytest.approx([1.5 / 4, 1.5 / 4, 1.5 / 2], rel=0.08)


class Part(WholeBatch):
    """Half of a batch, which draws from the numbers of all."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def draw(self, draw: Callable[[torch.Generator | None], Drawn]) -> Drawn:
        return draw(self.generator)


def test_parts_of_a_batch_draw_the_cells_of_the_whole() -> None:
    values, targets = torch.rand(2, 4, 60, generator=torch.Generator().manual_seed(0)).unbind()
    valid = torch.ones_like(targets, dtype=torch.bool)
    torch.manual_seed(5)
    whole = sampled_smooth_l1(values, targets, valid)
    part = Part(torch.Generator().manual_seed(5))
    halves = [sampled_smooth_l1(values[n : n + 2], targets[n : n + 2], valid[n : n + 2], part) for n in (0, 2)]
    torch.testing.assert_close(torch.stack(halves).mean(), whole)
    assert not torch.allclose(sampled_smooth_l1(values, targets, valid), whole)


def test_without_a_high_cell_the_loss_of_completeness_is_zero() -> None:
    values = torch.rand(2, 10, requires_grad=True)
    sampled_smooth_l1(values, torch.zeros(2, 10), torch.ones(2, 10, dtype=torch.bool)).backward()
    assert values.grad is not None
    assert (values.grad == 0).all()


# Score fusion


def maps(*rows: list[float]) -> Tensor:
    """The cells of an upper triangle whose rows are given."""
    return torch.tensor([value for row in rows for value in row])[None]


def test_scores_are_means_over_the_upper_right_part_of_the_maps() -> None:
    start, end = maps([0.9, 0.6, 0.3], [0.5, 0.1], [0.2]), maps([0.1, 0.4, 0.8], [0.6, 0.6], [0.1])
    completeness = maps([0.5, 0.7, 0.2], [0.4, 0.6], [0.3])
    first, last = upper_triangle(3)
    counted = torch.ones(1, 6, dtype=torch.bool)
    torch.testing.assert_close(mean_over_cells(start, first, counted, 3), torch.tensor([[0.6, 0.3, 0.2]]))
    torch.testing.assert_close(mean_over_cells(end, last, counted, 3), torch.tensor([[0.1, 0.5, 0.5]]))
    said = {"start_logits": start.logit(), "end_logits": end.logit(), "completeness_logits": completeness.logit()}
    (found,) = network().decode(said, all_valid(1, 3))
    assert found.segments.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    torch.testing.assert_close(found.scores, torch.tensor([0.03, 0.21, 0.06, 0.06, 0.09, 0.03]))
    assert found.labels is None


def test_padding_neither_proposes_nor_counts_in_means() -> None:
    start = maps([0.9, 0.6, 0.3], [0.5, 0.1], [0.2])
    said = {"start_logits": start.logit(), "end_logits": start.logit(), "completeness_logits": torch.full((1, 6), 50.0)}
    (found,) = network().decode(said, torch.tensor([[True, True, False]]))
    assert found.segments.tolist() == [[0, 1], [0, 2], [1, 2]]
    torch.testing.assert_close(found.scores, torch.tensor([0.75 * 0.9, 0.75 * 0.55, 0.5 * 0.55]))


def test_lengths_limit_proposals_and_means() -> None:
    start = maps([0.9, 0.6, 0.3], [0.5, 0.1], [0.2])
    said = {"start_logits": start.logit(), "end_logits": start.logit(), "completeness_logits": torch.full((1, 6), 50.0)}
    (found,) = network(least_snippets=2, most_snippets=2).decode(said, all_valid(1, 3))
    assert found.segments.tolist() == [[0, 2], [1, 3]]
    torch.testing.assert_close(found.scores, torch.tensor([0.75 * 0.55, 0.3 * 0.15]))


# The network


def test_streams_that_change_places_with_their_weights_say_the_same() -> None:
    model = network(supervision="every_head").eval()
    features = torch.randn(2, 6, 12)
    with torch.no_grad():
        said = model(features, all_valid(2, 12))
        state = {name: value.clone() for name, value in model.state_dict().items()}
        exchanged = {"0": "1", "1": "0"}
        swapped_state = {}
        for name, value in state.items():
            module, number, rest = re.fullmatch(r"(\w+(?:\.heads)?)\.(\w+)\.?(.*)", name).groups()  # type: ignore[union-attr]
            swapped_state[".".join(filter(None, (module, exchanged.get(number, number), rest)))] = value
        model.load_state_dict(swapped_state)
        swapped = model(features.roll(3, dims=1), all_valid(2, 12))
    for name in ("completeness_logits", "start_logits", "end_logits"):
        torch.testing.assert_close(swapped[name], said[name])


def test_a_longer_sample_than_the_network_was_made_for_is_refused() -> None:
    with pytest.raises(UsageError, match="12 snippets, the sample has 13"):
        network()(torch.randn(1, 6, 13), all_valid(1, 13))


def test_two_streams_need_an_even_number_of_channels() -> None:
    with pytest.raises(UsageError, match=r"model\.streams=1"):
        MGNet(MGNetConfig(**SMALL), 7, 0, 12)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "switches",
    [
        {"width": 20, "fmg_heads": 8},
        {"alpha_action": 0.0},
        {"dropout": 1.0},
        {"least_snippets": 5, "most_snippets": 4},
        {"mgt_layers": 0},
        {"iou_weight": -1.0},
    ],
)
def test_switches_out_of_range_are_refused(switches: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="mgnet:"):
        MGNetConfig(**switches)  # type: ignore[arg-type]
