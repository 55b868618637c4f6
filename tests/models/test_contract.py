"""What every registered model must do; a new model is picked up by its name alone."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch

from taltool.data.statistics import DatasetStatistics
from taltool.experiment.configuration import Layer, build, preset_layer
from taltool.experiment.settings import Experiment, TrainingSettings
from taltool.models import MODELS
from taltool.models.contract import Batch, Model, Targets
from taltool.nn.whole_batch import ALONE, Drawn, WholeBatch
from taltool.training.distributed import ProcessGroup
from taltool.training.micro_batches import MicroBatch
from taltool.training.updater import Updater

CHANNELS, CLASSES = 12, 3
# Facts of a small data set, for which every model fits itself to something quick.
SMALL = DatasetStatistics(6, CLASSES, CHANNELS, 1.0, (20, 24, 25, 28, 30, 32), (2.0, 3.0, 4.0, 4.5, 6.0, 9.0, 12.0))
CLIPS = DatasetStatistics(40, CLASSES, CHANNELS, 0.53, tuple([9] * 40), tuple([1.0] * 30 + [4.0] * 30))
HOURS = DatasetStatistics(3, CLASSES, 2048, 0.53, (9000, 12000, 13500), tuple(float(n) for n in range(2, 400)))


def experiment(name: str, facts: DatasetStatistics = SMALL) -> Experiment:
    """The settings that the model chooses for data with these facts."""
    model_class = MODELS.load(name)
    return build(name, model_class.Config, [Layer("auto", model_class.auto_settings(facts))])


def fitted_model(name: str, facts: DatasetStatistics = SMALL) -> Model:
    """A freshly drawn network of the size it chooses for these facts."""
    torch.manual_seed(0)
    settings = experiment(name, facts)
    return MODELS.load(name)(settings.model, facts.channels, facts.num_classes, settings.sampling.length)


def is_ours(name: str) -> bool:
    """Whether it is a model of taltool: of those more is known than the contract says."""
    return bool(MODELS.load(name).__module__.startswith("taltool."))


def length_of(name: str) -> int:
    return experiment(name).sampling.length


every_model = pytest.mark.parametrize("name", MODELS.names())
# Those whose samples are as long as their videos; the samples of the others have one length.
models_that_pad = pytest.mark.parametrize(
    "name", [name for name in MODELS.names() if experiment(name).sampling.resize == "pad"]
)


def batch_of(length: int, segments: Sequence[list[list[float]]], valid: Sequence[int] | None = None) -> Batch:
    """Random features with one sample per list of segments; `valid` snippets of each are real."""
    generator = torch.Generator().manual_seed(length)
    valid = valid or [length] * len(segments)
    mask = torch.arange(length) < torch.tensor(valid)[:, None]
    features = torch.randn(len(segments), CHANNELS, length, generator=generator) * mask[:, None]
    own = [torch.tensor(each, dtype=torch.float32).view(-1, 2) for each in segments]
    labels = [torch.arange(len(each)) % CLASSES for each in own]
    shortest = [min((end - start for start, end in each), default=math.inf) for each in segments]
    return Batch(features, mask, Targets(own, labels), [f"v{n}" for n in range(len(own))], shortest, shortest)


def total_loss(model: Model, batch: Batch, whole: WholeBatch = ALONE) -> torch.Tensor:
    """The sum of all losses of all phases."""
    torch.manual_seed(1)
    return torch.stack([sum(model.training_loss(batch, phase, whole).values()) for phase in model.phases]).sum()


def assert_learns(model: Model, batch: Batch) -> None:
    """Loss and gradients are finite, and something is learnt from."""
    loss = total_loss(model, batch)
    assert loss.isfinite()
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@every_model
def test_losses_are_named_finite_scalars_that_reach_every_part(name: str) -> None:
    model, length = fitted_model(name), length_of(name)
    batch = batch_of(length, [[[2, 9], [length - 5, length - 4]], [[1, 4]]])
    terms = [term for phase in model.phases for term in model.training_loss(batch, phase).values()]
    assert all(term.ndim == 0 and term.isfinite() for term in terms)
    torch.stack(terms).sum().backward()
    untouched = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not untouched


class Rows(WholeBatch):
    """Some rows of a batch that is seen in parts, of which it may be known beforehand what all of them count."""

    def __init__(self, share: float, generator: torch.Generator, totals: Mapping[str, torch.Tensor] | None) -> None:
        self.share, self.generator, self.totals = share, generator, totals
        self.counted: dict[str, torch.Tensor] = {}

    def total(self, name: str, value: torch.Tensor) -> torch.Tensor:
        assert name not in self.counted, f"{name} is asked for twice"
        self.counted[name] = value
        return value if self.totals is None else self.totals[name]

    def draw(self, draw: Callable[[torch.Generator | None], Drawn]) -> Drawn:
        return draw(self.generator)


@every_model
def test_losses_of_the_parts_of_a_batch_add_up_to_those_of_the_batch(name: str) -> None:
    model, length = fitted_model(name).eval(), length_of(name)
    if hasattr(model.config, "iou_loss"):  # By default it draws cells, for which each process has numbers of its own.
        model.config = dataclasses.replace(model.config, iou_loss="mean")
    batch = batch_of(length, [[[2, 9], [length - 5, length - 4]], [[1, 4]], []], valid=[length, length - 3, length])
    with torch.no_grad():
        whole = total_loss(model, batch)
        totals, found = None, torch.zeros(())
        for _ in range(2):  # First only to count.
            generator, parts, found = torch.Generator().manual_seed(1), [], torch.zeros(())
            for rows in (slice(0, 1), slice(1, 3)):
                part = Rows(len(batch.video_ids[rows]) / 3, generator, totals)
                found = found + part.share * total_loss(model, rows_of(batch, rows), part)
                parts.append(part.counted)
            totals = {count: torch.stack([own[count] for own in parts]).sum(0) for count in parts[0]}
    assert found.item() == pytest.approx(whole.item(), rel=1e-5)


SWITCHES = [(name, {}) for name in MODELS.names()] + [
    ("afsd", {"normaliser": "clip"}),
    ("afsd", {"normaliser": "clip", "bcl_update": "two_step"}),
    ("afsd", {"normaliser": "batch", "refine": "none", "level_bounds": True}),
    ("afsd", {"normaliser": "batch", "bcl_update": "two_step", "bcl": "trip"}),
    ("amnet", {"training": "joint"}),
    ("amnet", {"training": "mask_first", "mask_updates": 1}),
    ("amnet", {"ame": False, "normaliser": "sum"}),
    ("amnet", {"level_bounds": True, "match": False}),
    ("gsmt", {"mask_branch": False}),
    ("gsmt", {"loss_lr": False, "classifier": "external"}),
    ("mgnet", {"supervision": "every_head"}),
    ("mgnet", {"binary_loss": "text", "action_head": "sum"}),
    ("mgnet", {"fusion": "conv_only", "iou_loss": "sampled"}),
    ("bmn", {"most_snippets": 5}),
]


@pytest.mark.parametrize(("name", "switches"), SWITCHES, ids=[f"{n} {' '.join(map(str, s))}" for n, s in SWITCHES])
def test_what_losses_count_follows_from_the_ground_truth_or_nobody_says_so(name: str, switches: dict[str, Any]) -> None:
    settings, length = experiment(name), length_of(name)
    config = dataclasses.replace(settings.model, **switches)
    model = MODELS.load(name)(config, CHANNELS, CLASSES, length)
    segments: list[list[list[list[float]]]] = [[[[2, 9], [length - 5, length - 4]], [[1, 4]]], [[], []]]
    batches = [batch_of(length, own, valid=[length, length - 3]) for own in segments]
    asked: dict[str, set[str]] = {}
    for batch in batches * 2:  # What is learnt from may change from one update to the next.
        for phase in model.phases:
            said = model.loss_counts(batch, phase)
            part = Rows(1.0, torch.Generator().manual_seed(1), None)
            model.training_loss(batch, phase, part)
            if said is not None:
                assert said.keys() == part.counted.keys()
                assert all(count.shape == () for count in said.values())
                assert said == part.counted
            if switches.get("training") != "mask_first":
                assert asked.setdefault(phase, set(part.counted)) == set(part.counted)


# Another model may always ask the network.
@pytest.mark.parametrize("name", ["afsd", "amnet", "bmn", "gsmt", "mgnet", "tsa-tal"])
def test_only_the_refined_positives_of_a_batch_need_the_network(name: str) -> None:
    model, batch = fitted_model(name), batch_of(length_of(name), [[[2, 9]]])
    unknown = [phase for phase in model.phases if model.loss_counts(batch, phase) is None]
    assert unknown == (["all"] if name == "afsd" else [])


def updated(name: str, rows: Sequence[range]) -> dict[str, torch.Tensor]:
    """The weights after two updates by a batch of three whose `rows` pass through the network one after the other."""
    model, length = fitted_model(name).eval(), length_of(name)
    if hasattr(model.config, "iou_loss"):
        model.config = dataclasses.replace(model.config, iou_loss="mean")
    batch = batch_of(length, [[[2, 9], [length - 5, length - 4]], [[1, 4]], []], valid=[length, length - 3, length])
    settings = TrainingSettings(optimizer="sgd", weight_decay=0.0, clip_norm=1.0)
    updater = Updater(model, settings, ProcessGroup(), "cpu")
    work = [(rows_of(batch, slice(own.start, own.stop)), MicroBatch(own, len(own) / 3)) for own in rows]
    torch.manual_seed(1)
    for iteration in range(2):
        updater.update(work, iteration, 0.1)
    return model.state_dict()


@every_model
def test_a_batch_in_parts_learns_what_the_whole_batch_learns(name: str) -> None:
    whole, parts = updated(name, [range(3)]), updated(name, [range(1), range(1, 3)])
    start = fitted_model(name).state_dict()
    assert max(float((whole[key] - start[key]).abs().max()) for key in whole if whole[key].is_floating_point()) > 1e-3
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value, atol=1e-5, rtol=1e-5)


def rows_of(batch: Batch, rows: slice) -> Batch:
    targets = Targets(batch.targets.segments[rows], batch.targets.labels[rows])
    known = batch.video_ids[rows], batch.shortest_instances[rows], batch.shortest_shown[rows]
    return Batch(batch.features[rows], batch.mask[rows], targets, *known)


@every_model
def test_candidates_lie_on_the_grid_and_are_scored(name: str) -> None:
    model, length = fitted_model(name).eval(), length_of(name)
    batch = batch_of(length, [[], []])
    with torch.no_grad():
        decoded = model.decode(model(batch.features, batch.mask), batch.mask)
    assert len(decoded) == 2
    for segments, scores, labels in decoded:
        assert segments.shape == (len(scores), 2)
        assert scores.shape == (len(scores),)
        assert (segments >= 0).all()
        assert (segments <= length).all()
        assert (segments[:, 0] <= segments[:, 1]).all()
        assert ((scores >= 0) & scores.isfinite()).all()
        assert (labels is None) == model.is_class_agnostic
        assert labels is None or (labels.dtype == torch.int64 and (labels >= 0).all() and (labels < CLASSES).all())


@every_model
def test_outputs_are_finite_and_those_that_are_not_stay_in_their_sample(name: str) -> None:
    model, length = fitted_model(name).eval(), length_of(name)
    batch = batch_of(length, [[], [], []], valid=[length, length, length // 2])
    broken = batch.features.clone()
    broken[1, 0, 3] = torch.inf
    with torch.no_grad():
        outputs, others = model(batch.features, batch.mask), model(broken, batch.mask)
        model.decode(others, batch.mask)  # Prediction decodes before it looks.
    assert all(value.isfinite().all() for value in outputs.values())
    of_samples = [key for key, value in others.items() if len(value) == 3]
    assert not all(others[key][1].isfinite().all() for key in of_samples)
    assert all(torch.equal(others[key][[0, 2]], outputs[key][[0, 2]]) for key in of_samples)


@every_model
def test_decoding_needs_no_weights(name: str) -> None:
    """Candidates follow from outputs and settings alone: a network whose tensors hold nothing finds the same."""
    model, batch = fitted_model(name).eval(), batch_of(length_of(name), [[], []])
    with torch.device("meta"):
        hollow = fitted_model(name).eval()
    with torch.no_grad():
        outputs = model(batch.features, batch.mask)
    for ours, theirs in zip(model.decode(outputs, batch.mask), hollow.decode(outputs, batch.mask), strict=True):
        torch.testing.assert_close(ours._asdict(), theirs._asdict(), rtol=0, atol=0)


@every_model
def test_prediction_is_deterministic(name: str) -> None:
    model, batch = fitted_model(name).eval(), batch_of(length_of(name), [[]])
    with torch.no_grad():
        one, other = (model(batch.features, batch.mask) for _ in range(2))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


@every_model
def test_a_sample_says_the_same_alone_and_in_a_batch(name: str) -> None:
    model, batch = fitted_model(name).eval(), batch_of(length_of(name), [[], []])
    with torch.no_grad():
        together = model.decode(model(batch.features, batch.mask), batch.mask)[1]
        alone = model.decode(model(batch.features[1:], batch.mask[1:]), batch.mask[1:])[0]
    torch.testing.assert_close(together.segments, alone.segments, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(together.scores, alone.scores, atol=1e-5, rtol=1e-4)


@models_that_pad
def test_what_stands_in_padding_changes_nothing(name: str) -> None:
    """The features of padding are zero by contract; here it is the neighbour in the batch that makes the padding."""
    model = fitted_model(name).eval()
    multiple = model.length_multiple
    short = -(-(length_of(name) // 2) // multiple) * multiple
    padded = batch_of(short + multiple * 2, [[]], valid=[short])
    features, mask = padded.features[..., :short], padded.mask[:, :short]
    with torch.no_grad():
        alone = model.decode(model(features, mask), mask)[0]
        with_padding = model.decode(model(padded.features, padded.mask), padded.mask)[0]
    assert len(alone.scores) == len(with_padding.scores) > 0
    torch.testing.assert_close(with_padding.segments, alone.segments, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(with_padding.scores, alone.scores, atol=1e-5, rtol=1e-4)


@every_model
def test_nothing_is_found_in_padding(name: str) -> None:
    """A sample of a video shorter than a window is padded behind."""
    model, length = fitted_model(name).eval(), length_of(name)
    batch = batch_of(length, [[], []], valid=[length // 2, length])
    with torch.no_grad():
        short, whole = model.decode(model(batch.features, batch.mask), batch.mask)
    assert (short.segments >= 0).all()
    assert (short.segments <= length // 2).all()
    if is_ours(name):  # Others may find a fixed number of candidates in every sample.
        assert 0 < len(short.scores) < len(whole.scores)


@every_model
@pytest.mark.parametrize(
    "segments",
    [[[], []], [[[0, 1e9]], []], [[[3, 3]], [[0, 0.001]]], [[[5, 6]] * 40, [[1, 2]]]],
    ids=["no instance", "one covers all", "empty and tiny instances", "many equal instances"],
)
def test_odd_ground_truth_gives_finite_losses_and_gradients(name: str, segments: list[list[list[float]]]) -> None:
    length = length_of(name)
    clipped = [[[min(edge, length) for edge in segment] for segment in own] for own in segments]
    assert_learns(fitted_model(name), batch_of(length, clipped))


@every_model
def test_equal_features_give_finite_losses_and_gradients(name: str) -> None:
    batch = batch_of(length_of(name), [[[2, 9]], []])
    assert_learns(fitted_model(name), dataclasses.replace(batch, features=torch.ones_like(batch.features)))


@every_model
def test_a_network_learns_after_it_has_predicted(name: str) -> None:
    """What it keeps from one forward to the next must not be a tensor that autograd refuses."""
    model, batch = fitted_model(name), batch_of(length_of(name), [[[2, 9]], []])
    with torch.inference_mode():
        outputs = model.eval()(batch.features, batch.mask)
        model.decode(outputs, batch.mask)
        model.loss(outputs, batch.targets)
        for phase in model.phases:
            model.loss_counts(batch, phase)
    assert_learns(model.train(), batch)


@every_model
def test_autocast_gives_finite_losses_and_gradients(name: str) -> None:
    model = fitted_model(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_learns(model, batch_of(length_of(name), [[[2, 9], [12, 14]], []]))


@every_model
def test_a_sample_that_is_nearly_all_padding_gives_finite_losses(name: str) -> None:
    assert_learns(fitted_model(name), batch_of(length_of(name), [[[0, 1]], [[2, 9]]], valid=[1, length_of(name)]))


@every_model
@pytest.mark.parametrize("facts", [SMALL, CLIPS, HOURS], ids=["small", "clips of seconds", "videos of hours"])
def test_auto_settings_are_valid_for_any_data(name: str, facts: DatasetStatistics) -> None:
    settings = experiment(name, facts)
    assert settings.sampling.length >= 1
    assert settings.sampling.train_stride <= settings.sampling.length or settings.sampling.resize != "window"
    model = MODELS.load(name)(settings.model, facts.channels, facts.num_classes, settings.sampling.length)
    batch = torch.randn(1, facts.channels, settings.sampling.length)
    with torch.no_grad():
        outputs = model.eval()(batch, torch.ones(1, settings.sampling.length, dtype=torch.bool))
    assert all(value.isfinite().all() for value in outputs.values() if value.is_floating_point())


@every_model
def test_presets_are_valid_settings(name: str) -> None:
    model_class = MODELS.load(name)
    assert "thumos14" in model_class.presets or not is_ours(name)
    for preset, differences in model_class.presets.items():
        settings = build(name, model_class.Config, [preset_layer(preset, model_class.presets, name)])
        for section, values in differences.items():
            assert {key: getattr(getattr(settings, section), key) for key in values} == values
        with torch.device("meta"):  # A network of that size can be made.
            model = model_class(settings.model, 400, 20, settings.sampling.length)
        assert all(dict(model.phase_parameters(phase)) for phase in model.phases)


@every_model
def test_two_equal_networks_average_to_one(name: str) -> None:
    model, batch = fitted_model(name).eval(), batch_of(length_of(name), [[]])
    with torch.no_grad():
        outputs = model(batch.features, batch.mask)
        one = model.decode(outputs, batch.mask)[0]
        fused = model.decode(model.average([outputs, outputs]), batch.mask)[0]
    torch.testing.assert_close(fused.segments, one.segments)
    torch.testing.assert_close(fused.scores, one.scores)


@every_model
def test_a_seed_fixes_the_training_loss(name: str) -> None:
    batch = batch_of(length_of(name), [[[2, 12], [20, 22]]])
    assert total_loss(fitted_model(name), batch).item() == total_loss(fitted_model(name), batch).item()


@every_model
def test_phases_change_parameters_of_the_network(name: str) -> None:
    model = fitted_model(name)
    own = dict(model.named_parameters())
    for phase in model.phases:
        chosen = dict(model.phase_parameters(phase))
        assert chosen
        assert all(own[n] is parameter for n, parameter in chosen.items())
