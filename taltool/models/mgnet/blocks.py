"""A network applied to a long list of rows piece by piece, so that memory holds the activations of one piece."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def in_blocks(function: Callable[[Tensor], Tensor], rows: Tensor, size: int) -> Tensor:
    """function(rows) for rows (N, ...), `size` rows at a time.

    function must treat every row by itself. Of the blocks only the inputs and outputs are kept; for the gradient each
    is computed once more, with the same random numbers.
    """
    parts = [checkpoint(function, block, use_reentrant=False) for block in rows.split(size)]
    return torch.cat(parts)
