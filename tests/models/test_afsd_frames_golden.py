"""AFSD from pixels answers what its authors' network answers with the same weights, and loses what their code loses."""

import json

import numpy as np
import pytest
import torch
from afsd_loss_cases import CHANNELS, FORMS, loss_case
from golden_weights import FOLDER, drawn_weights, golden_answers, golden_shapes

from taltool.experiment.configuration import build, preset_layer
from taltool.models.afsd.consistency import Splice, activation_terms, activations, triplet_term
from taltool.models.afsd.loss import detection_terms
from taltool.models.afsd.model import AFSD, AFSDConfig
from taltool.models.afsd.network import BoundaryFeatures
from taltool.models.contract import Outputs
from taltool.nn.pyramid import PyramidGrid
from taltool.nn.targets import padded_targets
from taltool.nn.whole_batch import ALONE

BACKBONE = "pyramid.backbone."
END_POINTS = ("Mixed_4f", "Mixed_5c")
# Our names of what the network says, and theirs.
NAMES = {
    "distances": "loc",
    "logits": "conf",
    "offsets": "prop_loc",
    "refined_logits": "prop_conf",
    "quality": "center",
}


def model(channels: int = 3, **switches: object) -> AFSD:
    return AFSD(AFSDConfig(input="frames", **switches), channels, 20, 256).eval()


@pytest.fixture(scope="module")
def answers() -> Outputs:
    """What our network, prepared for inference, says of the golden frames, and its end points, averaged over space."""
    pixels = np.random.default_rng(7).uniform(-1, 1, (1, 3, 256, 96, 96)).astype(np.float32)
    ours, ends = model(), {}
    ours.load_state_dict(AFSD.convert_state_dict(drawn_weights("afsd_official_keys.json")))
    ours.prepare_inference()
    for name in END_POINTS:
        block = ours.get_submodule(BACKBONE + name)
        block.register_forward_hook(lambda _, __, found, name=name: ends.update({name: found.mean((3, 4))}))
    with torch.inference_mode():
        return ours((torch.from_numpy(pixels) + 1) * 127.5, torch.ones(1, 256, dtype=torch.bool)) | ends


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_the_authors_network(answers: Outputs, name: str) -> None:
    expected = golden_answers("afsd_official_thumos14.npz")[NAMES[name]]
    found = answers[name].numpy().reshape(expected.shape)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.slow
def test_locations_and_end_points_are_those_of_the_authors_network(answers: Outputs) -> None:
    golden = golden_answers("afsd_official_thumos14.npz")
    np.testing.assert_allclose(answers["centres"].numpy() / 256, golden["priors"].reshape(-1), atol=1e-7)
    for name in END_POINTS:
        expected = golden[f"{name}_mean"]
        assert np.abs(answers[name].numpy() - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(("channels", "backbone"), [(3, 12_287_264), (2, 12_265_312)])
def test_parameters_are_counted_exactly(channels: int, backbone: int) -> None:
    sizes = {name: value.numel() for name, value in model(channels).named_parameters()}
    assert sum(size for name, size in sizes.items() if name.startswith(BACKBONE)) == backbone
    assert sum(size for name, size in sizes.items() if not name.startswith(BACKBONE)) == 32_458_805


def test_all_tensors_of_the_authors_checkpoint_find_a_place() -> None:
    state = drawn_weights("afsd_official_keys.json")
    ours, converted = model().state_dict(), AFSD.convert_state_dict({f"module.{n}": v for n, v in state.items()})
    assert {name: value.shape for name, value in ours.items()} == {n: v.shape for n, v in converted.items()}
    assert sum(value.numel() for value in converted.values()) == sum(value.numel() for value in state.values())


def test_the_authors_checkpoint_for_activitynet_finds_its_place_too() -> None:
    """Its names are those for THUMOS14 with one level of maps of I3D instead of two (their anet/BDNet.py)."""
    prefix = "coarse_pyramid_detection."
    shapes = golden_shapes("afsd_official_keys.json") | {
        f"{prefix}pyramids.0.0.conv3d.weight": [512, 1024, 1, 3, 3],
        f"{prefix}pyramids.1.0.conv1d.weight": [512, 512, 3],
        f"{prefix}pyramids.1.0.conv1d.bias": [512],
        f"{prefix}conf_head.conv1d.weight": [2, 512, 3],
        f"{prefix}conf_head.conv1d.bias": [2],
        f"{prefix}prop_conf_head.conv1d.weight": [2, 512, 1],
        f"{prefix}prop_conf_head.conv1d.bias": [2],
    }
    del shapes[f"{prefix}pyramids.1.0.conv3d.weight"], shapes[f"{prefix}pyramids.1.0.conv3d.bias"]
    found = AFSD.convert_state_dict({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    config = build("afsd", AFSDConfig, [preset_layer("activitynet13-frames", AFSD.presets, "afsd")]).model
    with torch.device("meta"):
        ours = AFSD(config, 3, 200, 768).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {n: v.shape for n, v in found.items()}


@pytest.mark.parametrize("form", FORMS)
def test_losses_are_those_of_the_authors_code(form: str) -> None:
    expected = json.loads((FOLDER / "afsd_official_losses.json").read_text())[form]
    frames, per_position, _ = FORMS[form]
    config = build("afsd", AFSDConfig, [preset_layer(f"{form}-frames", AFSD.presets, "afsd")]).model
    settings = {**vars(config), "width": CHANNELS, "groups": 4, "backbone_divisor": 32, "crop": 32}
    ours = AFSD(AFSDConfig(**settings), 3, 20, frames)
    grid = PyramidGrid.of(torch.ones(1, frames // per_position, dtype=torch.bool), config.levels)
    for number in range(20):
        case = loss_case(form, number)
        named = case._asdict()
        outputs = {name: named[name][None] for name in NAMES} | ours._flatten_levels({}, grid)
        truth = padded_targets([case.segments], [case.labels - 1], torch.device("cpu"))
        frame, *branches = (source[None] for source in case.sources)
        mask = torch.ones(1, frames, dtype=torch.bool)
        features = BoundaryFeatures(frame, tuple(branches), grid.mask, mask)
        terms = detection_terms(outputs, truth, config, ALONE)
        terms |= activation_terms(activations(features, "tanh"), truth, grid.mask, config)
        before, after, background = (tuple(span) for span in case.splice.tolist())
        plan = Splice(torch.arange(frames), before, background, after)
        assert ours.refinement is not None
        terms["triplet"] = triplet_term(features, [plan], ours.refinement, config)
        weights = {"location": config.location_weight, "refined_location": config.location_weight} | {"triplet": 0.1}
        for name, values in expected.items():
            assert terms[name].item() / weights.get(name, 1) == pytest.approx(values[number], rel=1e-4), (name, number)
