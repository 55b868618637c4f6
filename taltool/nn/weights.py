"""Whether tensors are those of a network, told in few words."""

from collections.abc import Mapping

from torch import Tensor, nn

# Names that are listed of each kind.
_MAX_LISTED = 3
# Counters of batches mean nothing for norms that do not average by them; older files lack them.
_BATCH_COUNTER = "num_batches_tracked"


def misfits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """What is missing, unexpected and of another shape, each in words with the first few names; [] where all fit.

    Counters of batches may be absent, or too many.
    """
    missing = [name for name in wanted if name not in found and not name.endswith(_BATCH_COUNTER)]
    unexpected = [name for name in found if name not in wanted and not name.endswith(_BATCH_COUNTER)]
    reshaped = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    problems = []
    for kind, names in kinds.items():
        if names:
            more = f", and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
            problems.append(f"{len(names)} tensors {kind} ({', '.join(names[:_MAX_LISTED])}{more})")
    return problems


def fill(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load tensors of which `misfits` says nothing; what is not among them stays as it is."""
    network.load_state_dict({name: tensors.get(name, own) for name, own in network.state_dict().items()})
