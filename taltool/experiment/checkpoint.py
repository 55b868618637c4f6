"""Checkpoints (weights, safetensors) and the states from which a training run continues (torch.save, weights only).

Both are written beside their place and renamed, so a killed run leaves the one before. A training may begin with the
weights of an earlier one, or with those that a model's authors published (`--init`). Tensors are read from safetensors,
or from what torch.save wrote, of which no code is ever run.
"""

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from taltool.data.checkpoint_header import CheckpointHeader, read_checkpoint_header
from taltool.data.files import refuse_foreign, replacing
from taltool.data.hdf5_features import FeatureFile
from taltool.data.memory_features import MemoryFeatures
from taltool.errors import DataError, UsageError
from taltool.experiment.configuration import from_plain
from taltool.experiment.frames import make_source
from taltool.experiment.sampling import ChannelStatistics, FeatureSource
from taltool.experiment.settings import Experiment
from taltool.models import MODELS
from taltool.models.contract import Model
from taltool.nn.weights import fill, misfits
from taltool.reporting import SILENT, Reporter

SAFETENSORS = ".safetensors"
FOLDERS_VARIABLE = "TALTOOL_MODELS"
_MEAN, _DEVIATION = "taltool.channel_mean", "taltool.channel_deviation"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained network with everything that prediction has to know about it."""

    header: CheckpointHeader
    experiment: Experiment
    model: Model
    statistics: ChannelStatistics | None
    path: str

    def source(self, file: FeatureFile | MemoryFeatures, cache_bytes: int) -> FeatureSource:
        """What the network sees of a file, of which so many bytes stay in memory."""
        frames = self.model.frames_wanted(self.experiment.model)
        return make_source(file, self.experiment.sampling, frames, self.statistics, cache_bytes)


def save_checkpoint(
    path: Path, weights: dict[str, Tensor], header: CheckpointHeader, statistics: ChannelStatistics | None
) -> None:
    """Write weights and header; the same input gives the same bytes.

    Raises DataError for weights that are not finite, which `load_checkpoint` would refuse.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    if statistics is not None:
        tensors |= {
            _MEAN: torch.from_numpy(statistics.mean),
            _DEVIATION: torch.from_numpy(statistics.deviation),
        }
    check_finite(tensors, path)
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata=header.metadata())
    except (SafetensorError, OSError) as error:  # The library's own error too, where the disk is full.
        raise DataError(f"{path}: cannot be written ({error}); make room, or give another -o") from error


def load_checkpoint(path: str, device: str = "cpu") -> Checkpoint:
    """The network at `path`, ready to predict.

    Raises DataError for what is no checkpoint, does not fit its model, or holds weights or statistics that are not
    finite.
    """
    header = read_checkpoint_header(path)
    if header.model.endswith(".py"):  # Only what the user names is imported, nothing that a file names.
        raise DataError(f"{path}: '{header.model}' cannot be the name of a model")
    try:
        model_class = MODELS.load(header.model)
    except UsageError as error:
        raise UsageError(f"{path}: {error}; name the file that registers it too: --model FILE.py") from error
    experiment = from_plain(header.configuration, model_class.Config, path)
    tensors = read_weights(path)
    statistics = None
    if _MEAN in tensors:
        statistics = ChannelStatistics(tensors.pop(_MEAN).numpy(), tensors.pop(_DEVIATION).numpy())
        if not (statistics.deviation > 0).all():
            raise DataError(f"{path}: tensor '{_DEVIATION}' holds values that are not positive")
    model = model_class(experiment.model, header.channels, len(header.classes), header.length)
    problems = misfits(tensors, model.state_dict())
    if problems:
        raise DataError(f"{path}: the weights do not fit model '{header.model}' of this version: {'; '.join(problems)}")
    fill(model, tensors)
    model.to(device).eval().prepare_inference()
    return Checkpoint(header, experiment, model, statistics, path)


def model_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of the network alone."""
    return {name: tensor for name, tensor in read_weights(path).items() if name not in (_MEAN, _DEVIATION)}


def find_checkpoint(name: str) -> str:
    """The path that `--model NAME` means: a file, NAME.safetensors here, or in a folder of $TALTOOL_MODELS."""
    folders = [Path(), *map(Path, filter(None, os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)))]
    places = [Path(name), *(folder / f"{name}{SAFETENSORS}" for folder in folders)]
    for place in places:
        if place.is_file():
            return str(place)
    refuse_foreign(name)
    looked = ", ".join(str(place) for place in places)
    raise UsageError(f"--model {name}: no such checkpoint (looked for {looked}; ${FOLDERS_VARIABLE} adds folders)")


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training run."""
    try:
        with replacing(path) as temporary:
            torch.save(state, temporary)
    except (RuntimeError, OSError) as error:  # torch's own error, where the disk is full.
        raise DataError(f"{path}: cannot be written ({error}); make room, and --resume") from error


def load_state(path: Path) -> dict[str, Any]:
    """The state that `save_state` wrote; nothing but tensors and plain values is ever unpickled.

    Raises DataError for what is no such file, or holds a tensor that is not finite.
    """
    try:
        state: dict[str, Any] = _load(path)
    except Exception as error:  # What torch stumbles over it raises, of whatever kind.
        foreign = _foreign_global(error)
        why = f"holds {foreign}, which could run code" if foreign else str(error).splitlines()[0]
        raise DataError(f"{path}: not a readable training state ({why}); train without --resume") from error
    if not isinstance(state, dict):
        raise DataError(f"{path}: not the state of a training; train without --resume")
    check_finite(dict(_named_tensors(state)), path)
    return state


def _named_tensors(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dicts and lists, with the keys and positions that lead to it, joined by dots."""
    if isinstance(state, Tensor):
        yield name, state
    elif isinstance(state, dict | list | tuple):
        for key, inside in state.items() if isinstance(state, dict) else enumerate(state):
            yield from _named_tensors(inside, f"{name}.{key}" if name else str(key))


def load_pretrained(model: Model, path: str, reporter: Reporter = SILENT) -> None:
    """Load the weights in `path` into `model`; names that the model knows of other code are translated.

    Those of one of `Model.pretrained_parts` leave the rest of the network as it is, which is noted. Raises DataError
    where the file cannot be read, or holds the weights of another network.
    """
    tensors = model_weights(path) if Path(path).suffix == SAFETENSORS else read_tensors(path)
    try:
        found = model.adapted(model.convert_state_dict(tensors))
    except DataError as error:
        raise DataError(f"--init {path}: {error}") from error
    part = model.pretrained_part(found)
    unused = tuple(part + name for name in model.pretrained_parts.get(part, ()))
    left_out = [name.removeprefix(part) for name in found if name.startswith(unused)] if unused else []
    found = {name: tensor for name, tensor in found.items() if name.removeprefix(part) not in left_out}
    problems = misfits(found, {name: own for name, own in model.state_dict().items() if name.startswith(part)})
    if problems:
        kinds = ("of taltool (their settings: `taltool info`)", *model.pretrained_kinds)
        said = [
            f"--init {path}: these weights are of another network",
            *problems,
            "Known are checkpoints, for the same settings, channels and number of classes,",
            *(f"- {kind}" for kind in kinds),
        ]
        raise DataError("\n  ".join(said))
    fill(model, found)
    if part:
        without = f", without {', '.join(left_out)}" if left_out else ""
        reporter.note(f"--init {path}: the weights of {part.rstrip('.')} alone{without}; the rest begins at random")


# Where training programs keep the tensors in what they save.
_NESTED = ("state_dict", "model_state_dict", "model")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file by name; raises DataError for what is none, and for one that is not finite."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        refuse_foreign(str(path))
        raise DataError(f"{path}: not a readable safetensors file ({error})") from error
    check_finite(tensors, path)
    return tensors


def read_tensors(path: str) -> dict[str, Tensor]:
    """All tensors of a checkpoint by name: safetensors, or what torch.save wrote, of which no code is ever run.

    Raises DataError for what is neither, holds more than tensors and plain values, or a tensor that is not finite.
    """
    if Path(path).suffix == SAFETENSORS:
        return read_weights(path)
    tensors = _tensors(_loaded(path), path)
    check_finite(tensors, path)
    return tensors


def check_finite(tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Raise DataError, naming the file and the tensor, unless all values of all tensors are finite.

    A network with such weights gives NaN, which comparisons drop without a word.
    """
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise DataError(f"{path}: tensor '{name}' holds values that are not finite")


def _loaded(path: str) -> Any:
    if not Path(path).is_file():
        refuse_foreign(path)
        raise DataError(f"{path}: no such file")
    try:
        return _load(path)
    except Exception as error:  # What torch stumbles over it raises, of whatever kind.
        foreign = _foreign_global(error)
        if foreign is None:
            refuse_foreign(path)
            raise DataError(f"{path}: not a checkpoint that torch can read") from error
        raise DataError(
            f"{path}: holds {foreign} beside tensors, which could run code and is not read; where you trust the "
            "file, store its tensors alone: safetensors.torch.save_file(state_dict, 'weights.safetensors')"
        ) from error


def _load(path: str | Path) -> Any:
    """What torch.save wrote, of which no code is run."""
    with warnings.catch_warnings(action="ignore"):  # Of other pickles, which are refused with an error.
        return torch.load(path, map_location="cpu", weights_only=True)


def _foreign_global(error: Exception) -> str | None:
    """What a pickle holds that is neither a tensor nor a plain value: torch names it in the midst of its advice."""
    found = re.search(r"unsupported (?:global: )?GLOBAL (\S+)", str(error), re.IGNORECASE)
    return found[1] if found else None


def _tensors(loaded: Any, path: str) -> dict[str, Tensor]:
    """The tensors in what was loaded, which may lie one level down."""
    for name in _NESTED:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            loaded = loaded[name]
    if isinstance(loaded, Mapping):
        tensors = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise DataError(f"{path}: holds no tensors with names")
