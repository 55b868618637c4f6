"""A network that begins with the weights of an earlier training, ours or that of a model's authors (`--init`)."""

from pathlib import Path

from taltool.errors import DataError
from taltool.experiment.checkpoint import model_weights
from taltool.experiment.tensors import SAFETENSORS, read_tensors
from taltool.models.contract import Model


def adopt(model: Model, path: str) -> None:
    """Load the weights in `path` into `model`; names that the model knows of other code are translated.

    Raises DataError where the file cannot be read, or holds the weights of another network.
    """
    tensors = model_weights(path) if Path(path).suffix == SAFETENSORS else read_tensors(path)
    try:
        model.load_state_dict(model.adopted(tensors))
    except RuntimeError as error:
        raise DataError(
            f"--init {path}: these weights are of another network; the settings of the model, the channels and the "
            f"number of classes must be those they were trained with: {error}"
        ) from error
