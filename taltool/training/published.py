"""Weights that a paper's authors published, as a checkpoint that predicts at once: `convert --model`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import torch
from torch import Tensor

from taltool.data.checkpoint_header import CheckpointHeader
from taltool.data.class_lists import read_classes
from taltool.data.files import STANDARD
from taltool.data.provenance import InputFile, step
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import SAFETENSORS, read_tensors, save_checkpoint
from taltool.experiment.configuration import to_plain
from taltool.experiment.settings import Experiment
from taltool.extraction.extract import stream_channels
from taltool.extraction.settings import ExtractionSettings, preset_names
from taltool.models.contract import Model
from taltool.nn.weights import fill, misfits
from taltool.reporting import SILENT, Reporter
from taltool.training.setup import AUTO, Recipe

# The channels of pictures by what they show, and those streams of a frame store.
_STREAMS = {3: ("rgb",), 2: ("flow",), 5: ()}
_VARIANT = "-paper"  # Of a preset of `train`; it learns from the same frames.


@dataclass(frozen=True)
class ConvertedCheckpoint:
    """What was written: the checkpoint, its model, and the number of its classes and of its parameters."""

    output: str
    model: str
    classes: int
    parameters: int


def convert_checkpoint(
    *inputs: str | Path,
    output: str | Path = STANDARD,
    model: str,
    preset: str | None = None,
    classes: str | Path | Mapping[str, int] | Sequence[str] | None = None,
    provenance: bool = True,
    reporter: Reporter = SILENT,
) -> ConvertedCheckpoint:
    """Write the weights in a file that another program saved as a checkpoint `output`, a .safetensors file.

        convert_checkpoint("checkpoint-15.ckpt", output="afsd-rgb.safetensors", model="afsd",
                           preset="thumos14-frames", classes="classes.txt")

    inputs: that one file, of torch.save or safetensors; no code in it is run. model: whose weights they are; preset:
    the settings that they were trained with, as for `train`. classes: the names of the classes in the order in which
    the network has them, or the file of them, one name a line; none for a network that finds no classes. How many
    channels it sees, and so which streams, the weights tell. Where the preset is of frames, the checkpoint says how
    those are made of videos, as `extract --preset` of that name makes them.

    Raises UsageError for what makes no sense, and DataError for a file that holds something else, with what is missing.
    """
    if len(inputs) != 1 or str(inputs[0]) == STANDARD:
        raise UsageError("--model converts the weights in one file: name it")
    path, output = str(inputs[0]), str(output)
    if Path(output).suffix != SAFETENSORS:
        raise UsageError(f"--model writes a checkpoint: -o FILE{SAFETENSORS}, not {output}")
    if preset in (None, AUTO):
        raise UsageError("--preset names the settings that the weights were trained with, as for taltool train")
    recipe = Recipe.of(model, str(preset), None, ())
    experiment = recipe.experiment(None)
    names = _names(classes)
    tensors = read_tensors(path)
    try:
        found = recipe.model_class.convert_state_dict(tensors)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    channels = _channels(recipe, experiment, len(names), found)
    sampling = experiment.sampling
    record: dict[str, Any] = {}
    streams: dict[str, Any] = {}
    clock: dict[str, float] = {}
    if recipe.model_class.frames_wanted(experiment.model) is not None:
        sampling = replace(sampling, streams=_STREAMS.get(channels, ()))
        record, streams, clock = _frames(f"{recipe.name}-{str(preset).removesuffix(_VARIANT)}", reporter)
    network = recipe.model_class(experiment.model, channels, len(names), sampling.length)
    _check(path, recipe, experiment, network, found)
    fill(network, found)
    header = CheckpointHeader(
        model=recipe.name,
        configuration=to_plain(replace(experiment, sampling=sampling)),
        classes=names,
        channels=channels,
        length=sampling.length,
        streams=streams,
        clock=clock,
        training={"converted": Path(path).name},
        provenance=[step([InputFile.stat(path)])] if provenance else None,
        extraction=record,
    )
    save_checkpoint(Path(output), network.state_dict(), header, None)
    parameters = sum(each.numel() for each in network.parameters())
    reporter.note(f"{output}: {recipe.name}, {parameters:,} parameters, {channels} channels, {len(names)} classes")
    return ConvertedCheckpoint(output, recipe.name, len(names), parameters)


def _names(classes: str | Path | Mapping[str, int] | Sequence[str] | None) -> list[str]:
    """The names of the classes in their order; raises DataError where numbers are missing, or names are twice there."""
    if classes is None:
        return []
    numbers: Mapping[str, int]
    if isinstance(classes, str | Path):
        numbers = read_classes(str(classes))
    elif isinstance(classes, Mapping):
        numbers = classes
    else:
        numbers = {name: number for number, name in enumerate(classes)}
    names = sorted(numbers, key=numbers.__getitem__)
    if [numbers[name] for name in names] != list(range(len(names))):
        where = f"{classes}: " if isinstance(classes, str | Path) else ""
        raise DataError(
            f"{where}classes of a network are numbered from 0 without a gap; of a list with other numbers leave the "
            "names alone, in the network's order"
        )
    return names


def _made(recipe: Recipe, experiment: Experiment, channels: int, classes: int) -> Model:
    """A network that holds no weights."""
    with torch.device("meta"):
        network: Model = recipe.model_class(experiment.model, channels, classes, experiment.sampling.length)
    return network


def _count_misfits(network: Model, found: Mapping[str, Tensor]) -> int:
    """How many of the network's tensors are not there in this shape."""
    shapes = {name: tensor.shape for name, tensor in found.items()}
    return sum(shapes.get(name) != tensor.shape for name, tensor in network.state_dict().items())


def _channels(recipe: Recipe, experiment: Experiment, classes: int, found: Mapping[str, Tensor]) -> int:
    """The number of channels with which the network fits best: of frames, or one that the sizes of the weights tell."""
    candidates: Iterable[int] = _STREAMS
    if recipe.model_class.frames_wanted(experiment.model) is None:
        sizes = dict.fromkeys(tensor.shape[1] for tensor in found.values() if tensor.dim() > 1)
        candidates = [*sizes, *(2 * size for size in sizes)]  # Halves of the channels may enter apart.
    tried = {each: _count_misfits(_made(recipe, experiment, each, classes), found) for each in candidates}
    return min(tried, key=tried.__getitem__, default=1)


def _check(path: str, recipe: Recipe, experiment: Experiment, network: Model, found: Mapping[str, Tensor]) -> None:
    """Raise DataError unless the weights are all those of the network, whose classes they may tell to be others."""
    problems = misfits(found, network.state_dict())
    if not problems:
        return
    if part := recipe.model_class.pretrained_part(found):
        raise DataError(
            f"{path}: the weights of {part.rstrip('.')} alone, which find nothing yet; a training may begin with them: "
            "taltool train --init"
        )
    sizes = sorted({tensor.shape[0] for tensor in found.values() if tensor.dim() == 1})
    for classes in (size - background for size in sizes for background in (1, 0)):
        if classes > 0 and not misfits(found, _made(recipe, experiment, network.channels, classes).state_dict()):
            raise DataError(
                f"{path}: a network of {classes} classes, and {network.num_classes or 'none'} are named: --classes "
                "FILE has their names, one a line, in the network's order"
            )
    kinds = [f"- {kind}" for kind in recipe.model_class.pretrained_kinds]
    said = [f"{path}: not the weights of {recipe.name} with --preset {recipe.preset}", *problems]
    raise DataError("\n  ".join([*said, "Known are checkpoints", *kinds] if kinds else said))


def _frames(preset: str, reporter: Reporter) -> tuple[dict[str, Any], dict[str, Any], dict[str, float]]:
    """What a checkpoint says of the frames that an extraction preset makes: the record, streams, and their clock."""
    if preset not in preset_names():
        reporter.warn(f"extract has no preset {preset}: the checkpoint does not say how its frames are made of videos")
        return {}, {}, {}
    settings = ExtractionSettings.of(preset=preset, reporter=reporter)
    streams = {name: list(span) for name, span in stream_channels(settings).items()}
    clock = {}
    if settings.fps is not None:  # Else it is another one in each video.
        clock = {"fps": settings.fps, "stride": 1.0, "window": 1.0, "seconds_per_snippet": 1 / settings.fps}
    return orjson.loads(settings.record()), streams, clock
