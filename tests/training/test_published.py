"""`convert --model`: weights that others published, as checkpoints that predict."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_weights import drawn_weights, golden_answers
from project import Run
from safetensors.torch import save_file
from torch import Tensor
from training_runs import Listener

from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureWriter, VideoFeatures
from taltool.data.proposals import ProposalReader
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import load_checkpoint
from taltool.models.afsd.model import AFSD
from taltool.prediction.predict import predict
from taltool.training.published import convert_checkpoint

CLASSES = [f"class {number}" for number in range(20)]


@pytest.fixture(scope="module")
def opentad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OpenTAD's AFSD on features of 2,048 channels, 20 classes, as several GPUs save it."""
    path = tmp_path_factory.mktemp("published") / "opentad.pth"
    state = {f"module.{name}": tensor for name, tensor in drawn_weights("afsd_features_keys.json").items()}
    torch.save({"epoch": 15, "state_dict": state}, path)
    return path


@pytest.fixture
def converted(opentad: Path, tmp_path: Path) -> Callable[..., Path]:
    def run(*words: Any, **options: Any) -> Path:
        output = tmp_path / "m.safetensors"
        given: dict[str, Any] = {"model": "afsd", "preset": "thumos14", "classes": CLASSES, "output": output}
        convert_checkpoint(*(words or (opentad,)), **given | options)
        return output

    return run


def test_a_converted_network_gives_the_answers_of_the_one_that_was_saved(converted: Callable[..., Path]) -> None:
    """Those of OpenTAD's program for the same weights: golden/README.md."""
    checkpoint = load_checkpoint(str(converted()))
    assert (checkpoint.header.channels, checkpoint.header.classes, checkpoint.header.length) == (2048, CLASSES, 64)
    features = np.random.default_rng(17).standard_normal((2, 2048, 64)).astype(np.float32)
    with torch.inference_mode():
        found = checkpoint.model(torch.from_numpy(features), torch.ones(2, 64, dtype=torch.bool))
    answers = golden_answers("afsd_features.npz")
    torch.testing.assert_close(found["distances"], torch.from_numpy(answers["loc"]), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found["logits"], torch.from_numpy(answers["conf"]), rtol=1e-3, atol=1e-4)


def test_it_finds_actions_by_the_names_of_the_file(converted: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    checkpoint = converted(classes=tmp_path / "classes.txt")
    values = np.random.default_rng(0).standard_normal((64, 2048)).astype(np.float32)
    with FeatureWriter(str(tmp_path / "f.h5")) as writer:
        writer.write(VideoFeatures("v", values, FeatureClock(fps=10, stride=4, window=4, duration=25.6), {}))
    predict(tmp_path / "f.h5", model=checkpoint, output=tmp_path / "p.jsonl", min_score=0, top_k=500)
    with ProposalReader(str(tmp_path / "p.jsonl")) as reader:
        [video] = reader
    assert len(video) == 500
    assert video.labels is not None
    assert {video.names.names[label] for label in video.labels} <= set(CLASSES)
    assert reader.labels.names == CLASSES


@pytest.mark.slow
def test_the_header_says_what_was_converted(converted: Callable[..., Path], opentad: Path) -> None:
    header = read_checkpoint_header(str(converted()))
    assert header.training == {"converted": "opentad.pth"}
    assert header.provenance is not None
    assert header.provenance[-1]["inputs"][0]["size"] == opentad.stat().st_size
    assert header.extraction == {}  # Nobody says how the features were made.
    assert header.configuration["training"]["epochs"] == 16
    without = converted(provenance=False)
    bytes_of = without.read_bytes()
    assert converted(provenance=False).read_bytes() == bytes_of


@pytest.mark.slow
def test_classes_may_be_numbered_in_any_order(converted: Callable[..., Path], tmp_path: Path) -> None:
    numbers = {name: number for number, name in reversed(list(enumerate(CLASSES)))}
    assert read_checkpoint_header(str(converted(classes=numbers))).classes == CLASSES
    annotations = [{"label": name, "label_id": number, "segment": [0, 1]} for name, number in numbers.items()]
    document = {"database": {"v": {"duration": 9, "subset": "x", "annotations": annotations}}}
    (tmp_path / "gt.json").write_text(json.dumps(document))
    assert read_checkpoint_header(str(converted(classes=tmp_path / "gt.json"))).classes == CLASSES


@pytest.mark.parametrize("classes", [CLASSES[:19], None], ids=["one too few", "none"])
def test_another_number_of_classes_is_named(classes: list[str] | None, converted: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=f"a network of 20 classes, and {'19' if classes else 'none'} are named"):
        converted(classes=classes)


def test_a_name_that_is_there_twice_is_refused(converted: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in [*CLASSES[:19], "class 0"]))
    with pytest.raises(DataError, match=r"classes.txt:20: class 'class 0' has number 19 here and 0 above"):
        converted(classes=tmp_path / "classes.txt")


@pytest.mark.slow
def test_what_is_no_whole_network_is_told_in_few_lines(
    converted: Callable[..., Path], tmp_path: Path, opentad: Path
) -> None:
    i3d = {name: torch.zeros(shape) for name, shape in (("Conv3d_1a_7x7.conv3d.weight", (64, 3, 7, 7, 7)),)}
    torch.save(i3d, tmp_path / "rgb_imagenet.pt")
    with pytest.raises(DataError, match="alone, which find nothing yet; a training may begin with them"):
        converted(tmp_path / "rgb_imagenet.pt", preset="thumos14-frames")
    with pytest.raises(DataError, match="not the weights of afsd with --preset activitynet13-frames") as caught:
        converted(opentad, preset="activitynet13-frames")
    assert "of AFSD's authors" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 15
    torch.save({"rpn_head.unknown.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"other.pth: tensor 'rpn_head.unknown.weight' is not part of OpenTAD's AFSD"):
        converted(tmp_path / "other.pth")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"output": "m.pt"}, r"-o FILE.safetensors, not m.pt"),
        ({"preset": None}, "--preset names the settings"),
        ({"preset": "auto"}, "--preset names the settings"),
        ({"preset": "thumos41"}, "did you mean 'thumos14'"),
        ({"model": "afds"}, "did you mean 'afsd'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], reason: str, converted: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match=reason):
        converted(**options)


def test_one_file_at_a_time_is_converted(converted: Callable[..., Path], opentad: Path) -> None:
    for words in ((opentad, opentad), ("-",)):
        with pytest.raises(UsageError, match="converts the weights in one file"):
            converted(*words)


@pytest.mark.slow
def test_a_network_of_two_halves_of_the_channels_is_known_by_its_weights(tmp_path: Path) -> None:
    """MGNet's authors let 200 of 400 channels into each of two encoders; it finds no classes."""
    save_file(drawn_weights("mgnet_authors_keys.json"), tmp_path / "mgnet.safetensors")
    output = tmp_path / "m.safetensors"
    convert_checkpoint(tmp_path / "mgnet.safetensors", output=output, model="mgnet", preset="code")
    assert read_checkpoint_header(str(output)).channels == 400
    assert load_checkpoint(str(output)).model.is_class_agnostic


@pytest.mark.slow
def test_the_command_converts_and_the_checkpoint_is_told(taltool: Run, opentad: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    output = tmp_path / "m.safetensors"
    words = ("--model", "afsd", "--preset", "thumos14", "--classes", tmp_path / "classes.txt")
    done = taltool("convert", opentad, *words, "-o", output)
    assert done.returncode == 0, done.stderr
    assert b"afsd, 14,239,797 parameters, 2048 channels, 20 classes" in done.stderr
    told = json.loads(taltool("info", output, "--format", "json").stdout)
    assert told["classes"] == CLASSES
    for wrong, status, reason in (
        (("convert", opentad, "-o", tmp_path / "x.csv"), 3, b"--model MODEL --preset PRESET makes a checkpoint"),
        (("convert", opentad, "--preset", "thumos14"), 2, b"--preset belongs to --model"),
        (("convert", opentad, *words, "--fps", "10"), 2, b"--fps, --stride, --window, --offset: without meaning"),
        (("convert", tmp_path / "no.ckpt", *words, "-o", tmp_path / "x.safetensors"), 3, b"no.ckpt: no such file"),
    ):
        refused = taltool(*wrong)
        assert (refused.returncode, reason in refused.stderr) == (status, True), refused.stderr


def official(path: Path, channels: int) -> dict[str, Tensor]:
    """The authors' checkpoint for THUMOS14 with drawn weights, of colours or of flow."""
    state = drawn_weights("afsd_official_keys.json")
    stem = "backbone._model.Conv3d_1a_7x7.conv3d.weight"
    state[stem] = state[stem][:, :channels]
    torch.save(state, path)
    return state


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "streams"), [(3, ["rgb"]), (2, ["flow"])])
def test_the_authors_checkpoints_find_actions_in_videos_at_once(
    channels: int, streams: list[str], tmp_path: Path
) -> None:
    from extraction.short_videos import write_video

    state = official(tmp_path / "checkpoint-15.ckpt", channels)
    output, listener = tmp_path / "m.safetensors", Listener()
    words: dict[str, Any] = {"model": "afsd", "preset": "thumos14-frames", "classes": CLASSES}
    convert_checkpoint(tmp_path / "checkpoint-15.ckpt", output=output, **words, reporter=listener)
    header = read_checkpoint_header(str(output))
    assert (header.channels, header.length) == (channels, 256)
    assert header.configuration["sampling"]["streams"] == streams
    assert (header.extraction["backbone"], header.extraction["fps"]) == ("frames", 10.0)
    assert header.streams == {"rgb": [0, 3], "flow": [3, 5]}
    own = AFSD.convert_state_dict(state)
    with torch.inference_mode():
        loaded = load_checkpoint(str(output)).model.state_dict()["coarse.class_head.weight"]
    torch.testing.assert_close(loaded, own["coarse.class_head.weight"])
    write_video(tmp_path / "v.mp4", 60, 0)
    predict(tmp_path / "v.mp4", model=output, output=tmp_path / "p.jsonl", jobs=1, min_score=0, top_k=100)
    with ProposalReader(str(tmp_path / "p.jsonl")) as reader:
        [video] = reader
    assert len(video) == 100
    assert video.duration == pytest.approx(60 / 20)
    assert video.segments.max() <= 60 / 20


def test_a_list_of_classes_with_numbers_before_the_names_is_refused(
    converted: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "Class Index_Detection.txt"
    path.write_text("".join(f"{7 + 2 * number} {name}\n" for number, name in enumerate(CLASSES)))
    with pytest.raises(DataError, match=r"numbered from 0 without a gap; of a list with other numbers leave the names"):
        converted(classes=path)
