"""AMNet: its equations, worked by hand or by brute force, and the exact size of its parts.

Equations in order of the paper: 1 encoder, 2-3 triplet, 4 refinement, 5-7 self-attention and groups, 8 exchange, 9-10
heads, 11-12 losses, 13-14 decoding.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.data.clock import FeatureClock
from taltool.models.amnet.loss import embedding, gathered, matching_errors, resized, triplet_term
from taltool.models.amnet.model import AMNet, AMNetConfig
from taltool.models.amnet.network import ActionMaskingEncoder, CrossAttention, GroupAttention, LevelAttention
from taltool.models.contract import Batch, Targets
from taltool.nn.losses import triplet_margin_loss
from taltool.nn.pyramid import AnchorFreeHeads, PyramidGrid
from taltool.nn.targets import PaddedTargets, padded_targets

LENGTH, CHANNELS, CLASSES = 32, 6, 3


def network(**switches: object) -> AMNet:
    torch.manual_seed(0)
    settings = {"width": 16, "levels": 4, "heads": 2, **switches}
    return AMNet(AMNetConfig(**settings), CHANNELS, CLASSES, LENGTH)


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def valid(*counts: int, length: int = LENGTH) -> Tensor:
    return torch.arange(length) < torch.tensor(counts)[:, None]


def batch() -> Batch:
    segments = [torch.tensor([[2.0, 12.0], [14.0, 16.5]]), torch.tensor([[20.0, 30.0]])]
    targets = Targets(segments, [torch.tensor([0, 2]), torch.tensor([1])])
    return Batch(drawn(2, CHANNELS, LENGTH), valid(LENGTH, LENGTH), targets, ["a", "b"])


def truth(*segments: list[list[float]]) -> PaddedTargets:
    own = [torch.tensor(each, dtype=torch.float32).view(-1, 2) for each in segments]
    return padded_targets(own, [torch.zeros(len(each), dtype=torch.int64) for each in own], torch.device("cpu"))


def identity_encoder(channels: int) -> ActionMaskingEncoder:
    """An encoder of kernel 1 that gives its input back, norm left out."""
    encoder = ActionMaskingEncoder(channels, channels, 1, 1)
    encoder.hidden.blocks[0].norm = None
    with torch.no_grad():
        for layer in (encoder.hidden.blocks[0].conv, encoder.output):
            layer.weight.copy_(torch.eye(channels)[..., None])
    return encoder


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# Sizes


def test_the_network_of_the_paper_has_the_computed_number_of_parameters() -> None:
    with torch.device("meta"):
        model = AMNet(AMNetConfig(), 2048, 20, 2304)
        with_200_classes = AMNet(AMNetConfig(), 2048, 200, 192)
    scales = model.heads.main.scales.numel() + model.heads.matching_scales.numel()
    assert parameters(model.ame) == 7_083_008
    assert parameters(model.pyramid) == 7_087_104
    assert parameters(model.attention.own) == 6_309_888
    assert parameters(model.attention.to_short) == 3_151_360
    assert scales == 12
    assert parameters(model.heads) - scales == 4_739_607
    assert parameters(model) == 28_370_979
    assert parameters(with_200_classes) == 28_463_319


@pytest.mark.parametrize(("length", "locations", "groups"), [(2304, 4536, (4032, 504)), (192, 378, (336, 42))])
def test_six_levels_have_the_locations_and_groups_of_the_paper(
    length: int, locations: int, groups: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    model = network(levels=6, width=4, heads=1)
    exchange = model.attention.exchange

    def watched(short: Tensor, mask_short: Tensor, long: Tensor, mask_long: Tensor) -> tuple[Tensor, Tensor]:
        seen.append((short.shape[1], long.shape[1]))
        return exchange(short, mask_short, long, mask_long)

    monkeypatch.setattr(model.attention, "exchange", watched)
    with torch.no_grad():
        outputs = model(drawn(1, CHANNELS, length), valid(length, length=length))
    assert outputs["distances"].shape == (1, locations, 2)
    assert seen == [groups]


# Equation 1


def test_the_encoder_is_conv_norm_relu_twice_and_a_conv() -> None:
    torch.manual_seed(0)
    encoder, features = ActionMaskingEncoder(3, 4, 2, 3), drawn(2, 3, 9)
    x = features
    for block in encoder.hidden.blocks:
        x = F.conv1d(x, block.conv.weight, block.conv.bias, padding=1)
        x = F.layer_norm(x.transpose(1, 2), (4,)).transpose(1, 2).relu()
    expected = F.conv1d(x, encoder.output.weight, encoder.output.bias, padding=1)
    torch.testing.assert_close(encoder(features, valid(9, 9, length=9)), expected)


def test_the_mask_starts_small_but_not_at_zero() -> None:
    model = network(width=64)
    features, mask = batch().features, batch().mask
    difference = (model.masked(features, mask) - features).detach().abs()
    assert 0 < difference.mean() < 0.2


# Equations 2 and 3


def test_positive_and_negative_snippets_are_concatenated_in_time() -> None:
    features = torch.arange(6.0).view(1, 1, 6).repeat(2, 1, 1)
    chosen = torch.tensor([[False, True, True, False, True, False], [False] * 6])
    own = gathered(features, chosen)
    assert own.features[:, 0].tolist() == [[1, 2, 4], [0, 0, 0]]
    assert own.mask.tolist() == [[True] * 3, [False] * 3]


def test_positives_and_negatives_are_together_the_valid_snippets(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[list[int]] = []

    def counting(features: Tensor, chosen: Tensor) -> object:
        counts.append(chosen.sum(1).tolist())
        return gathered(features, chosen)

    monkeypatch.setattr("taltool.models.amnet.loss.gathered", counting)
    targets = truth([[2, 5], [4, 8]], [[0, 1]])
    triplet_term(identity_encoder(2), drawn(2, 2, 12), valid(12, 9, length=12), targets, AMNetConfig())
    assert counts == [[6, 1], [6, 8]]


def vectors_of(*vectors: tuple[float, float]) -> list[Tensor]:
    """Unit vectors as AMNet embeds one snippet of each."""
    encoder, one = identity_encoder(2), torch.ones(1, 1, dtype=torch.bool)
    features = [torch.tensor(vector).view(1, 2, 1) for vector in vectors]
    return [embedding(encoder(own, one), one, torch.tensor([1]), 1, "mean_norm") for own in features]


def test_the_triplet_of_the_worked_example() -> None:
    anchor, near, far = vectors_of((1.0, 0.0), (1.2, 1.6), (0.0, 3.0))  # of unit length (.6, .8) and (0, 1)
    assert triplet_margin_loss(anchor, near, far, squared=True).item() == 0  # .8 - 2 + 1 < 0
    assert triplet_margin_loss(anchor, far, near, squared=True).item() == pytest.approx(2.2)
    assert triplet_margin_loss(anchor, anchor, anchor, squared=True).item() == 1


def triplet(features: Tensor, mask: Tensor, targets: PaddedTargets, **switches: object) -> float:
    encoder = identity_encoder(features.shape[1])
    return triplet_term(encoder, features, mask, targets, AMNetConfig(**switches)).item()


# Snippets (1, 0) and (0, 1); the first three are the action. Their mean has the direction (3, 1) / sqrt(10), so
# d_pos = 2 - 6 / sqrt(10) = .102633 and d_neg = 2 - 2 / sqrt(10) = 1.367544.
SEPARATED = torch.tensor([[[1.0, 1, 1, 0], [0, 0, 0, 1]]])
FIRST_THREE = truth([[0, 3]])


def test_the_triplet_compares_means_of_unit_length() -> None:
    mask = valid(4, length=4)
    assert triplet(SEPARATED, mask, FIRST_THREE) == 0
    assert triplet(SEPARATED, mask, FIRST_THREE, triplet_margin=2.0) == pytest.approx(0.735089, abs=1e-6)
    assert triplet(SEPARATED, mask, FIRST_THREE, triplet_margin=2.0, lambda2=0.5) == pytest.approx(0.367544, abs=1e-6)


def test_a_plain_mean_keeps_its_length() -> None:
    # Mean (.75, .25): squared distances .125 to (1, 0), 1.125 to (0, 1); .125 - 1.125 + 2.
    loss = triplet(SEPARATED, valid(4, length=4), FIRST_THREE, triplet_pool="mean", triplet_margin=2.0)
    assert loss == pytest.approx(1.0)


def test_interp_compares_snippet_by_snippet() -> None:
    # All resized to four snippets and to length 1: cosines 3/4 with the action's, 1/4 with the background's.
    loss = triplet(SEPARATED, valid(4, length=4), FIRST_THREE, triplet_pool="interp", triplet_margin=2.0)
    assert loss == pytest.approx((2 - 1.5) - (2 - 0.5) + 2)


def test_order_and_repetition_of_snippets_do_not_matter_to_a_pointwise_encoder() -> None:
    torch.manual_seed(0)
    encoder, config = ActionMaskingEncoder(4, 8, 2, 1), AMNetConfig(triplet_margin=2.0)
    features, mask = drawn(1, 4, 10), valid(10, length=10)
    loss = triplet_term(encoder, features, mask, truth([[0, 6]]), config)
    order = torch.tensor([4, 2, 5, 0, 1, 3, 6, 7, 8, 9])
    torch.testing.assert_close(triplet_term(encoder, features[..., order], mask, truth([[0, 6]]), config), loss)
    doubled = features.repeat_interleave(2, dim=2)
    torch.testing.assert_close(triplet_term(encoder, doubled, valid(20, length=20), truth([[0, 12]]), config), loss)


def test_samples_of_action_or_background_alone_are_left_out_of_the_mean() -> None:
    features, mask = SEPARATED.repeat(3, 1, 1), valid(4, 4, 4, length=4)
    targets = truth([[0, 3]], [[0, 4]], [])
    assert triplet(features, mask, targets, triplet_margin=2.0) == pytest.approx(0.735089, abs=1e-6)


@pytest.mark.parametrize("segments", [[[0, 4]], []], ids=["all action", "all background"])
@pytest.mark.parametrize("pool", ["mean_norm", "mean", "interp"])
def test_no_usable_sample_gives_an_attached_zero(segments: list[list[float]], pool: str) -> None:
    encoder = ActionMaskingEncoder(2, 4, 2, 3)
    loss = triplet_term(encoder, SEPARATED, valid(4, length=4), truth(segments), AMNetConfig(triplet_pool=pool))
    loss.backward()
    assert loss.item() == 0
    assert all((p.grad == 0).all() for p in encoder.parameters())


@pytest.mark.parametrize("pool", ["mean_norm", "mean", "interp"])
def test_padding_does_not_enter_the_triplet(pool: str) -> None:
    torch.manual_seed(0)
    encoder, config = ActionMaskingEncoder(4, 8, 2, 3), AMNetConfig(triplet_pool=pool, triplet_margin=2.0)
    features, targets = drawn(1, 4, 10), truth([[1, 6]])
    loss = triplet_term(encoder, features, valid(10, length=10), targets, config)
    padded = F.pad(features, (0, 6))
    torch.testing.assert_close(triplet_term(encoder, padded, valid(10, length=16), targets, config), loss)


def test_resizing_is_interpolate_of_each_sample() -> None:
    values, lengths, wanted = drawn(3, 2, 7), [7, 4, 1], [5, 9, 3]
    found = resized(values, torch.tensor(lengths), torch.tensor(wanted), 9)
    for row, (length, size) in enumerate(zip(lengths, wanted, strict=True)):
        expected = F.interpolate(values[row : row + 1, :, :length], size=size, mode="linear", align_corners=False)[0]
        torch.testing.assert_close(found[row, :, :size], expected)
        assert (found[row, :, size:] == 0).all()


# Equation 4


def test_the_mask_is_added_to_the_features() -> None:
    model, features = network(), batch().features
    expected = features + model.ame(features, batch().mask)
    torch.testing.assert_close(model.masked(features, batch().mask), expected)


def test_without_encoder_the_network_is_that_with_a_mask_of_zeros() -> None:
    full, bare = network(), network(ame=False)
    with torch.no_grad():
        full.ame.output.weight.zero_()
    bare.load_state_dict({n: v for n, v in full.state_dict().items() if not n.startswith("ame.")})
    ours, theirs = (model(batch().features, batch().mask) for model in (full, bare))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# Equations 5 to 7


def test_self_attention_is_the_softmax_of_every_pair_of_a_level() -> None:
    torch.manual_seed(0)
    layer, x = LevelAttention(8, 2, 0, residual=False, dropout=0.0), drawn(1, 5, 8)
    q, k, v = (getattr(layer.attention, name)(x)[0].view(5, 2, 4) for name in ("query", "key", "value"))
    expected = torch.zeros(5, 2, 4)
    for head in range(2):
        for i in range(5):
            weights = torch.stack([(q[i, head] @ k[j, head] / math.sqrt(4)).exp() for j in range(5)])
            expected[i, head] = sum(w * v[j, head] for j, w in enumerate(weights)) / weights.sum()
    torch.testing.assert_close(layer(x, valid(5, length=5)), layer.attention.project(expected.flatten(1))[None])


def test_the_residual_of_self_attention_is_normalised() -> None:
    torch.manual_seed(0)
    layer, x, mask = LevelAttention(8, 2, 0, residual=True, dropout=0.0), drawn(1, 5, 8), valid(5, length=5)
    torch.testing.assert_close(layer(x, mask), F.layer_norm(x + layer.attention(x, x, mask), (8,)))


def group_attention(kind: str, levels: int = 5, **switches: object) -> GroupAttention:
    torch.manual_seed(0)
    return GroupAttention(8, levels, kind, heads=2, **switches)


def pyramid(levels: int = 5) -> tuple[list[Tensor], list[Tensor]]:
    """Levels (2, 8, 16 / 2^l) of two samples, the second half padding, zero there."""
    masks = [valid(16, 8, length=16)[:, :: 2**level] for level in range(levels)]
    return [drawn(2, 8, mask.shape[1]) * mask[:, None] for mask in masks], masks


def test_levels_attend_to_themselves_alone_and_with_weights_of_their_own() -> None:
    (levels, masks), layer = pyramid(), group_attention("self")
    found = layer(levels, masks)
    for number, (level, mask) in enumerate(zip(levels, masks, strict=True)):
        expected = layer.own[number](level.transpose(1, 2), mask).transpose(1, 2) * mask[:, None]
        torch.testing.assert_close(found[number], expected)


def test_an_odd_number_of_levels_gives_the_fine_group_the_smaller_half() -> None:
    levels, masks = pyramid()
    fine = torch.cat([level.transpose(1, 2) for level in levels[:2]], 1)
    coarse = torch.cat([level.transpose(1, 2) for level in levels[2:]], 1)
    layer = group_attention("cross")
    found = layer(levels, masks)
    own, other = layer.exchange(fine, torch.cat(masks[:2], 1), coarse, torch.cat(masks[2:], 1))
    expected = [*own.split([16, 8], 1), *other.split([4, 2, 1], 1)]
    for level, wanted, mask in zip(found, expected, masks, strict=True):
        torch.testing.assert_close(level, wanted.transpose(1, 2) * mask[:, None])


def test_concatenating_and_splitting_groups_is_the_identity() -> None:
    levels, masks = pyramid()
    layer = group_attention("cross")
    layer.exchange = lambda short, _s, long, _l: (short, long)  # type: ignore[method-assign]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(layer(levels, masks), levels, strict=True))


@pytest.mark.parametrize("kind", ["full", "self", "cross"])
def test_group_attention_is_zero_in_padding_and_does_not_see_it(kind: str) -> None:
    (levels, masks), layer = pyramid(), group_attention(kind)
    found = layer(levels, masks)
    alone = layer([each[1:, :, :end] for each, end in zip(levels, (8, 4, 2, 1, 1), strict=True)],
                  [each[1:, :end] for each, end in zip(masks, (8, 4, 2, 1, 1), strict=True)])  # fmt: skip
    for level, mask, own in zip(found, masks, alone, strict=True):
        assert (level * ~mask[:, None] == 0).all()
        torch.testing.assert_close(level[1:, :, : own.shape[2]] * mask[1:, None, : own.shape[2]], own)


# Equation 8


def test_a_direction_of_the_exchange_as_printed() -> None:
    torch.manual_seed(0)
    layer, own, other = CrossAttention(8, 2, residual=False, dropout=0.0), drawn(1, 5, 8), drawn(1, 3, 8)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    attention = layer.attention
    weights = [attention.query.weight, attention.key.weight, attention.value.weight]
    theirs.in_proj_weight, theirs.out_proj.weight = nn.Parameter(torch.cat(weights)), attention.project.weight
    first, _, _, last = layer.mlp
    found = F.layer_norm(theirs(own, other, other)[0], (8,))
    expected = F.linear(F.gelu(F.linear(found, first.weight, first.bias)), last.weight, last.bias)
    torch.testing.assert_close(layer(own, other, valid(3, length=3)), expected)


def test_residuals_of_the_exchange() -> None:
    torch.manual_seed(0)
    layer, own, other, mask = CrossAttention(8, 2, True, 0.0), drawn(1, 5, 8), drawn(1, 3, 8), valid(3, length=3)
    found = own + layer.attention(own, other, mask)
    torch.testing.assert_close(layer(own, other, mask), found + layer.mlp(F.layer_norm(found, (8,))))


def test_swapping_the_groups_swaps_what_shared_weights_give() -> None:
    one, other, first, second = drawn(2, 6, 8), drawn(2, 3, 8), valid(6, 4, length=6), valid(3, 2, length=3)
    shared, apart = group_attention("cross"), group_attention("cross", shared_cross=False)
    for layer, is_symmetric in ((shared, True), (apart, False)):
        short, long = layer.exchange(one, first, other, second)
        swapped_long, swapped_short = layer.exchange(other, second, one, first)
        assert torch.allclose(short, swapped_short) == is_symmetric
        assert torch.allclose(long, swapped_long) == is_symmetric


# Equations 9 and 10


def test_without_its_modules_amnet_is_the_coarse_predictor_of_afsd_with_sigmoids() -> None:
    model = network(ame=False, gam="none", match=False)
    coarse = AnchorFreeHeads(16, CLASSES, 4, "ln")  # AFSD's, whose last layers see three positions
    state = model.heads.main.state_dict()
    for name in ("distance_head.weight", "class_head.weight"):
        state[name] = F.pad(state[name], (1, 1))
    coarse.load_state_dict(state)
    features, mask = batch().features, batch().mask
    grid = PyramidGrid.of(mask, 4)
    packed = grid.layout.pack(model.pyramid(features, mask))
    outputs = model(features, mask)
    distances = coarse.distances(coarse.location_tower(packed, grid.axis), grid.axis.level) * grid.stride
    logits = coarse.class_head(coarse.class_tower(packed, grid.axis))
    torch.testing.assert_close(outputs["distances"], distances.transpose(1, 2)[:, grid.locations])
    torch.testing.assert_close(outputs["logits"], logits.transpose(1, 2)[:, grid.locations])


def test_each_level_has_scales_of_its_own() -> None:
    model = network()
    before = model(batch().features, batch().mask)
    with torch.no_grad():
        model.heads.main.scales[1] = 0.0
        model.heads.matching_scales[2] = 0.0
    after = model(batch().features, batch().mask)
    of_level = [before["level"] == number for number in range(4)]
    assert (after["distances"][:, of_level[1]] == 2).all()  # exp(0) strides of two snippets
    assert (after["matching"][:, of_level[2]] == 0).all()
    assert torch.equal(before["distances"][:, ~of_level[1]], after["distances"][:, ~of_level[1]])
    assert torch.equal(before["matching"][:, ~of_level[2]], after["matching"][:, ~of_level[2]])


# Equations 11 and 12


def one_location(logits: list[float], distances: list[float], matching: float) -> dict[str, Tensor]:
    """Outputs at one positive location, the centre 5 of level 0, and one of background at 25."""
    return {
        "logits": torch.tensor([[logits, [0.0, 0.0]]]),
        "distances": torch.tensor([[distances, [1.0, 1.0]]], requires_grad=True),
        "matching": torch.tensor([[matching, 7.0]], requires_grad=True),
        "centres": torch.tensor([5.0, 25.0]),
        "level": torch.tensor([0, 0]),
        "valid": torch.ones(1, 2, dtype=torch.bool),
        "mask": valid(LENGTH),
    }


def losses_of(outputs: dict[str, Tensor], **switches: object) -> dict[str, Tensor]:
    """Losses against the segment [-1, 7] of class 1: distances (6, 2)."""
    return network(**switches).loss(outputs, Targets([torch.tensor([[-1.0, 7.0]])], [torch.tensor([1])]))


def test_losses_of_one_location_by_hand() -> None:
    terms = losses_of(one_location([0.0, 0.0], [4.0, 6.0], 0.5), label_smoothing=0.0)
    # Focal loss of logit 0: .043322 for the class, .129965 for each of the three others. tIoU of (4, 6), (6, 2) = .5.
    assert terms["class"].item() == pytest.approx(0.043322 + 3 * 0.129965, abs=1e-5)
    assert terms["location"].item() == pytest.approx(0.5)
    assert terms["matching"].item() == pytest.approx((0.462117 - 0.5) ** 2, abs=1e-6)


def test_lambda1_weighs_boundary_and_matching() -> None:
    outputs = one_location([0.0, 0.0], [4.0, 6.0], 0.5)
    one, two = losses_of(outputs), losses_of(outputs, lambda1=2.0)
    assert two["class"] == one["class"]
    assert two["location"].item() == pytest.approx(2 * one["location"].item())
    assert two["matching"].item() == pytest.approx(2 * one["matching"].item())


def test_smoothing_takes_from_the_label_and_gives_to_other_actions_at_positive_locations_only() -> None:
    # Logit 0, C = 2, s = .1: targets .933333 and .033333 where there is an action, 0 elsewhere.
    terms = losses_of(one_location([0.0, 0.0], [4.0, 6.0], 0.5), label_smoothing=0.1)
    alpha = [0.25 * t + 0.75 * (1 - t) for t in (0.9 + 0.1 / 3, 0.1 / 3, 0.0, 0.0)]
    assert terms["class"].item() == pytest.approx(0.25 * math.log(2) * sum(alpha), abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "act", "expected"),
    [
        ("l2", "tanh", 0.114165),
        ("l1", "tanh", 0.337883),
        ("smooth_l1", "tanh", 0.114165 / 2),
        ("l2", "sigmoid", (0.622459 - 0.8) ** 2),
        ("bce", "sigmoid", 0.474077 * 0.8 + 0.974077 * 0.2),
    ],
)
def test_matching_losses_of_the_worked_example(loss: str, act: str, expected: float) -> None:
    found = matching_errors(torch.tensor(0.5), torch.tensor(0.8), AMNetConfig(match_loss=loss, match_act=act))
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_the_matching_score_of_least_loss_is_atanh_of_the_tiou() -> None:
    scores = torch.linspace(-3, 3, 60001)
    errors = matching_errors(scores, torch.full_like(scores, 0.8), AMNetConfig())
    assert scores[errors.argmin()].item() == pytest.approx(1.098612, abs=1e-3)


def test_the_matching_loss_does_not_move_boundaries_nor_background() -> None:
    outputs = one_location([0.0, 0.0], [4.0, 6.0], 0.5)
    losses_of(outputs)["matching"].backward()
    assert outputs["distances"].grad is None
    assert outputs["matching"].grad[0, 1] == 0
    assert outputs["matching"].grad[0, 0] != 0


def test_plain_sums_are_those_of_equation_11() -> None:
    model, plain = network(), network(normaliser="sum")
    outputs = model(batch().features, batch().mask)
    counted, summed = model.loss(outputs, batch().targets), plain.loss(outputs, batch().targets)
    ratios = {name: (summed[name] / counted[name]).item() for name in counted}
    # Locations of all levels inside an instance.
    inside = sum(
        any(s <= (i + 0.5) * 2**level <= e for s, e in segments.tolist())
        for segments in batch().targets.segments
        for level in range(4)
        for i in range(LENGTH >> level)
    )
    assert all(ratio == pytest.approx(inside, rel=1e-4) for ratio in ratios.values())


# Equations 13 and 14


def test_a_segment_and_its_score_by_hand() -> None:
    """The third level's index 5 stands at snippet 22; exp(log 2) and exp(log 3) strides of 4 give [14, 34]."""
    model = network()
    location = {
        "logits": torch.tensor([[[1.0, -9.0, -9.0]]]),
        "distances": torch.tensor([[[math.log(2), math.log(3)]]]).exp() * 4,
        "matching": torch.tensor([[0.5]]),
        "centres": torch.tensor([(5 + 0.5) * 4]),
        "valid": torch.ones(1, 1, dtype=torch.bool),
    }
    found = model.decode(location, valid(64, length=64))[0]
    torch.testing.assert_close(found.segments[0], torch.tensor([14.0, 34.0]))
    assert found.scores[0].item() == pytest.approx(0.337835, abs=1e-6)
    # 16 frames every 4 at 30 frames/s: the middle of snippet 14 (grid 14.5) is at frame 64, its left edge two before.
    clock = FeatureClock(fps=30.0, stride=4.0, window=16.0, duration=5.0)
    assert [clock.seconds(edge) for edge in found.segments[0].tolist()] == pytest.approx([62 / 30, 142 / 30])


def test_a_location_of_the_third_level_stands_at_its_centre() -> None:
    outputs = network()(batch().features, batch().mask)
    assert outputs["centres"][outputs["level"] == 2][5].item() == 22


def test_a_negative_matching_score_gives_zero() -> None:
    model = network()
    with torch.no_grad():
        outputs = model(batch().features, batch().mask)
        found = model.decode(outputs | {"matching": -outputs["matching"].abs() - 1}, batch().mask)[0]
    assert (found.scores == 0).all()


@pytest.mark.parametrize("length", [1024, 2304])
def test_a_long_padding_changes_no_detection(length: int) -> None:
    model, features = network(levels=6).eval(), drawn(1, CHANNELS, 1000)
    with torch.no_grad():
        mask = valid(1000, length=1000)
        alone = model.decode(model(features, mask), mask)[0]
        padded_mask = valid(1000, length=length)
        padded = F.pad(features, (0, length - 1000))
        with_padding = model.decode(model(padded, padded_mask), padded_mask)[0]
    torch.testing.assert_close(with_padding.segments, alone.segments, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(with_padding.scores, alone.scores, atol=1e-4, rtol=1e-4)
