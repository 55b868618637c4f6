"""BMN: its sizes, samples, labels, losses and score fusion worked by hand, and its head without algebra."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.errors import UsageError
from taltool.experiment.configuration import build, preset_layer
from taltool.models.bmn.loss import balanced_l2
from taltool.models.bmn.model import BMN, BMNConfig
from taltool.models.bmn.network import ProposalHead, ProposalMap, sample_positions
from taltool.models.contract import Candidates, Outputs, Targets
from taltool.nn.proposal_sampling import upper_triangle
from taltool.ops import nms_settings

CPU = torch.device("cpu")
SMALL = {"base_width": 8, "groups": 2, "proposal_width": 8, "map_width": 6}
EMBEDDINGS = pytest.mark.parametrize("embedding", ["conv", "transformer"])


def network(channels: int = 4, length: int = 12, **switches: object) -> BMN:
    torch.manual_seed(0)
    return BMN(BMNConfig(**{**SMALL, **switches}), channels, 0, length)  # type: ignore[arg-type]


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def all_valid(samples: int, length: int) -> Tensor:
    return torch.ones(samples, length, dtype=torch.bool)


def one_instance(start: float, end: float) -> Targets:
    return Targets([torch.tensor([[start, end]])], [torch.tensor([0])])


# Sizes


def test_the_network_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = BMN(BMNConfig(), 400, 0, 100)
    grouped = 256 // 4 * 3 * 256 + 256
    assert parameters(model.base) == (400 // 4 * 3 * 256 + 256) + grouped
    assert parameters(model.start, model.end) == 2 * (grouped + 256 + 1)
    before, points = 256 * 3 * 256 + 256, 256 * 32 * 512 + 512
    after = (512 * 128 + 128) + 2 * (128 * 9 * 128 + 128) + (128 * 2 + 2)
    assert parameters(model.proposals) == before + points + after
    assert parameters(model) == 4_978_564  # The 5.0 M of GSMT's Table 3.


def test_the_transformer_of_gsmt_stands_in_front_of_the_same_network() -> None:
    with torch.device("meta"):
        plain, embedded = (BMN(BMNConfig(embedding=kind), 400, 0, 100) for kind in ("conv", "transformer"))
    assert parameters(embedded) - parameters(plain) == 2_564_400  # As counted in GSMT.
    assert plain.state_dict().keys() < embedded.state_dict().keys()


def test_only_the_transformer_sees_snippets_far_away() -> None:
    features = torch.randn(1, 4, 12)
    changed = torch.cat([features[..., :-1], torch.randn(1, 4, 1)], dim=-1)
    for embedding, sees in (("conv", False), ("transformer", True)):
        model = network(embedding=embedding).eval()
        with torch.no_grad():
            one, other = (model(each, all_valid(1, 12))["start_logits"][0, 0] for each in (features, changed))
        assert (one != other) == sees


# Sampling


def test_samples_reach_half_a_length_beyond_both_boundaries() -> None:
    found = sample_positions(torch.tensor([2]), torch.tensor([5]), 32, 3, 0.5)[0]  # Four snippets long.
    assert found.shape == (32, 3)
    torch.testing.assert_close(found.flatten(), torch.arange(96, dtype=torch.float64) * 7 / 95)


def brute_force(first: int, last: int, length: int) -> Tensor:
    """The sampling mask (32, T) of one proposal by definition, sample by sample."""
    weights = torch.zeros(32, length, dtype=torch.float64)
    reach = (last - first + 1) * 0.5
    for sample in range(96):
        position = (first - reach) + sample * ((last + reach) - (first - reach)) / 95
        below, share = math.floor(position), position - math.floor(position)
        for snippet, weight in ((below, 1 - share), (below + 1, share)):
            if 0 <= snippet < length:
                weights[sample // 3, snippet] += weight / 3
    return weights


@pytest.mark.parametrize("length", [1, 2, 5, 9])
def test_points_are_those_of_the_sampling_mask(length: int) -> None:
    proposals = ProposalMap.of(BMNConfig(), length, CPU)
    every = torch.eye(32 * length, dtype=torch.float64)
    found = proposals.bags.forwards.sums(every)
    cells = zip(proposals.first.tolist(), proposals.last.tolist(), strict=True)
    wanted = torch.stack([brute_force(first, last, length).flatten() for first, last in cells])
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
    torch.testing.assert_close(proposals.bags.backwards.sums(torch.eye(len(found), dtype=torch.float64)), wanted.T)


def test_the_map_has_a_row_for_each_duration() -> None:
    proposals = ProposalMap.of(BMNConfig(most_snippets=2), 4, CPU)
    numbers = torch.arange(1.0, 8)[None, :, None]
    maps = proposals.spread(numbers)
    # Cells in rows of equal start: [0, 0], [0, 1], [1, 1], [1, 2], ...
    assert maps.tolist() == [[[[1, 3, 5, 7], [2, 4, 6, 0]]]]
    assert torch.equal(proposals.cells(maps), numbers)


def plain_head(head: ProposalHead, features: Tensor, mask: Tensor, durations: int) -> Tensor:
    """What the head gives (B, N, 2) when all points of all proposals are sampled first, as the paper writes it."""
    length = features.shape[-1]
    sampled = torch.zeros(length, 32, durations, length, dtype=torch.float64)
    there = torch.zeros(len(features), 1, durations, length, dtype=torch.float64)
    for first in range(length):
        for last in range(first, min(length, first + durations)):
            sampled[:, :, last - first, first] = brute_force(first, last, length).T
            there[:, 0, last - first, first] = mask[:, last].double()
    points = torch.einsum("bct,tnds->bcnds", head.reduce(features, mask), sampled)
    maps = head.points(points).squeeze(2).relu()  # (B, C, D, T)
    maps = F.conv2d(maps, head.enter.weight[..., None, None], head.enter.bias).relu()
    for layer in head.neighbours:
        maps = layer(maps * there).relu()
    maps = F.conv2d(maps, head.output.weight[..., None, None], head.output.bias)
    first, last = upper_triangle(length)
    short = last - first < durations
    return maps[:, :, (last - first)[short], first[short]].transpose(1, 2)


@pytest.mark.parametrize(("length", "most"), [(1, 0), (7, 0), (8, 3)])
def test_the_head_equals_a_convolution_over_sampled_points(length: int, most: int) -> None:
    model = network(most_snippets=most).double()
    features = torch.randn(2, 8, length, dtype=torch.float64).requires_grad_()
    mask = torch.arange(length) < torch.tensor([[length], [max(1, length - 2)]])
    proposals = model.map_over(mask)
    fast, plain = (
        model.proposals(features, mask, proposals),
        plain_head(model.proposals, features, mask, most or length),
    )
    there = mask[:, proposals.last, None]
    pull = torch.randn(fast.shape, dtype=torch.float64) * there
    inputs = (features, *model.proposals.parameters())
    torch.testing.assert_close(fast * there, plain * there, atol=1e-10, rtol=1e-10)
    for own, wanted in zip(*(torch.autograd.grad((each * pull).sum(), inputs) for each in (fast, plain)), strict=True):
        torch.testing.assert_close(own, wanted, atol=1e-10, rtol=1e-10)


# Labels and losses


def outputs_of(length: int, **logits: Tensor) -> Outputs:
    cells = length * (length + 1) // 2
    zeros = {"start": length, "end": length, "regression": cells, "classification": cells}
    said = {f"{name}_logits": logits.get(name, torch.zeros(1, size)) for name, size in zeros.items()}
    return said | {"valid": torch.ones(1, length)}


def spread_tiou(length: int, start: float, end: float) -> Tensor:
    """The tIoU (1, N) of every proposal with one instance, by definition."""
    found = []
    for first in range(length):
        for last in range(first, length):
            overlap = max(0.0, min(last + 1, end) - max(first, start))
            found.append(overlap / ((last + 1 - first) + (end - start) - overlap))
    return torch.tensor([found])


def test_boundaries_are_taught_by_regions_of_three_snippets() -> None:
    # Of the instance [2.4, 5.2] the start's region [0.9, 3.9] covers snippets 1, 2 and most of 3, and a tenth of 0; the
    # end's [3.7, 6.7] covers 4, 5 and most of 6.
    start, end = torch.full((1, 10), -30.0), torch.full((1, 10), -30.0)
    start[0, [1, 2, 3]], end[0, [4, 5, 6]] = 30.0, 30.0
    losses = network().loss(outputs_of(10, start=start, end=end), one_instance(2.4, 5.2))
    assert losses["start"].item() == pytest.approx(0, abs=1e-6)
    assert losses["end"].item() == pytest.approx(0, abs=1e-6)
    start[0, 0] = 30.0  # One of seven negatives is wrong.
    losses = network().loss(outputs_of(10, start=start, end=end), one_instance(2.4, 5.2))
    assert losses["start"].item() == pytest.approx(30 / 7 / 2)


def test_proposals_are_taught_their_tiou_and_whether_it_is_high() -> None:
    tiou = spread_tiou(10, 2, 5)
    right = torch.where(tiou > 0.9, 30.0, -30.0)
    losses = network().loss(outputs_of(10, regression=tiou.logit(1e-6), classification=right), one_instance(2, 5))
    assert (right > 0).sum() == 1
    assert losses["classification"].item() == pytest.approx(0, abs=1e-6)
    assert losses["regression"].item() == pytest.approx(0, abs=1e-6)


def test_regression_weighs_ten_times() -> None:
    # The one instance of [0, 1] covers the only snippet: (0.5 - 1)^2 / 2, where the sigmoid says 0.5.
    losses = network().loss(outputs_of(1), one_instance(0, 1))
    # Of the three kinds of cells, the two without a cell count as one each.
    assert losses["regression"].item() == pytest.approx(10 * 0.125 / 3)


def test_regression_looks_at_equal_numbers_of_high_middle_and_low_overlaps() -> None:
    torch.manual_seed(0)
    kinds = [torch.full((count,), tiou) for count, tiou in ((1000, 0.8), (4000, 0.7), (20000, 0.3), (20000, 0.0))]
    tiou, valid = torch.cat(kinds).view(2, -1), torch.ones(2, 22500, dtype=torch.bool)
    for at, share in ((0.8, 1 / 3), (0.7, 1 / 3), (0.3, 1 / 3), (0.0, 0)):
        found = balanced_l2(tiou + 2 * (tiou == at), tiou, valid)
        assert found.item() == pytest.approx(2**2 / 2 * share, rel=0.1)


def test_regression_of_few_cells_by_hand() -> None:
    tiou, values = torch.tensor([[0.9, 0.8, 0.5, 0.1, 0.0, 1.0]]), torch.tensor([[0.8, 0.6, 0.8, 0.5, 0.9, 0.0]])
    valid = torch.tensor([[True] * 5 + [False]])
    # All of two high, one middle and one low cell: (.01 + .04 + .09 + .16) / 4 / 2.
    assert balanced_l2(values, tiou, valid).item() == pytest.approx(0.3 / 8)


def test_without_an_action_regression_learns_nothing() -> None:
    values = torch.rand(2, 10, requires_grad=True)
    balanced_l2(values, torch.zeros(2, 10), torch.ones(2, 10, dtype=torch.bool)).backward()
    assert values.grad is not None
    assert (values.grad == 0).all()


# Score fusion


def said(start: list[float], end: list[float], classification: list[float], regression: list[float]) -> Outputs:
    named = {"start": start, "end": end, "classification": classification, "regression": regression}
    return {f"{name}_logits": torch.tensor([values]).logit() for name, values in named.items()}


ALIKE = said([0.9, 0.5, 0.1], [0.2, 0.6, 0.8], [0.4, 0.9, 0.1, 0.5, 0.2, 0.3], [0.1, 0.4, 0.4, 0.5, 0.8, 0.3])


def decoded(outputs: Outputs, mask: Tensor, **switches: object) -> Candidates:
    (found,) = network(**switches).decode(outputs, mask)
    assert found.labels is None
    return found


def test_scores_are_products_of_boundaries_and_the_root_of_both_confidences() -> None:
    found = decoded(ALIKE, all_valid(1, 3), candidates="all")
    assert found.segments.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    torch.testing.assert_close(found.scores, torch.tensor([0.036, 0.324, 0.144, 0.15, 0.16, 0.024]))


def test_the_code_takes_the_product_of_both_confidences() -> None:
    found = decoded(ALIKE, all_valid(1, 3), candidates="all", confidence="product")
    torch.testing.assert_close(found.scores, torch.tensor([0.0072, 0.1944, 0.0288, 0.075, 0.064, 0.0072]))


def test_padding_proposes_nothing_whatever_it_says() -> None:
    found = decoded(ALIKE, torch.tensor([[True, True, False]]), candidates="all")
    assert found.segments.tolist() == [[0, 1], [0, 2], [1, 2]]
    certain = said([0.2, 0.11, 0.15, 1.0], [0.2, 0.3, 0.4, 1.0], [0.5] * 10, [0.5] * 10)
    # Padding is no peak either, which would make 0.11 less than half of the highest.
    found = decoded(certain, torch.tensor([[True, True, True, False]]))
    assert found.segments.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_candidates_join_likely_starts_with_likely_ends() -> None:
    start, end = [0.9, 0.1, 0.2, 0.1, 0.1, 0.1], [0.1, 0.3, 0.1, 0.05, 0.9, 0.1]
    outputs = said(start, end, [0.5] * 21, [0.5] * 21)
    found = decoded(outputs, all_valid(1, 6))
    starts, ends = (0, 2, 5), (0, 1, 4, 5)  # Peaks, and both ends of the sample.
    assert found.segments.tolist() == [[i, j + 1] for i in starts for j in ends if i <= j]


# The network


@EMBEDDINGS
@pytest.mark.parametrize("most", [0, 5])
def test_padding_does_not_change_what_is_said_of_the_rest(embedding: str, most: int) -> None:
    model = network(embedding=embedding, width=6, most_snippets=most).double().eval()
    features = torch.randn(1, 4, 13, dtype=torch.float64)
    mask = (torch.arange(13) < 9)[None]
    with torch.no_grad():
        alone, padded = model(features[..., :9], all_valid(1, 9)), model(features, mask)
    last = model.map_over(mask).last
    for name in ("start_logits", "end_logits"):
        torch.testing.assert_close(padded[name][:, :9], alone[name])
    for name in ("regression_logits", "classification_logits"):
        torch.testing.assert_close(padded[name][:, last < 9], alone[name])


@EMBEDDINGS
@pytest.mark.parametrize("length", [1, 2])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_snippet_or_two_give_finite_losses_and_gradients(embedding: str, length: int, kind: torch.dtype) -> None:
    model = network(embedding=embedding)
    with torch.autocast("cpu", dtype=kind, enabled=kind != torch.float32):
        losses = model.loss(model(torch.ones(1, 4, length), all_valid(1, length)), one_instance(0, length))
        torch.stack(list(losses.values())).sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert len(gradients) == len(list(model.parameters()))
    assert all(each.isfinite().all() for each in gradients)


@EMBEDDINGS
def test_one_sample_is_learnt_by_heart(embedding: str) -> None:
    model = network(embedding=embedding, length=16)
    features, mask = torch.randn(1, 4, 16), all_valid(1, 16)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(80):
        optimizer.zero_grad()
        torch.stack(list(model.loss(model(features, mask), one_instance(4, 10)).values())).sum().backward()
        optimizer.step()
    with torch.no_grad():
        (found,) = model.eval().decode(model(features, mask), mask)
    assert found.segments[found.scores.argmax()].tolist() == [4, 10]


def test_the_suppression_of_activitynet_is_that_of_the_preset() -> None:
    settings = build("bmn", BMNConfig, [preset_layer("activitynet13", BMN.presets, "bmn")])
    assert settings.nms == nms_settings.preset("bmn-activitynet13").settings


def test_channels_that_are_no_whole_groups_are_refused() -> None:
    with pytest.raises(UsageError, match=r"5 channels .* 2 groups.*model\.groups=1"):
        network(channels=5)
    outputs = network(channels=5, embedding="transformer", width=6)(torch.zeros(1, 5, 12), torch.ones(1, 12).bool())
    assert outputs["start_logits"].shape == (1, 12)


@pytest.mark.parametrize(
    "switches",
    [
        {"base_width": 30},
        {"points": 0},
        {"points": 1, "samples_per_point": 1},
        {"reach": -0.1},
        {"most_snippets": -1},
        {"boundary_half_width": 0.0},
    ],
)
def test_switches_out_of_range_are_refused(switches: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="bmn:"):
        BMNConfig(**switches)  # type: ignore[arg-type]
