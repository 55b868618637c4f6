"""TSN gives its network fields normalised and stacked as its checkpoint was trained."""

import numpy as np
import pytest
import torch
from small_backbones import SIDE, made

from taltool.backbones.tsn import TSN
from taltool.errors import UsageError
from taltool.video.snippet_windows import SnippetWindows


def test_a_flow_stack_holds_x_and_y_of_each_field_in_turn() -> None:
    backbone = made("tsn", "flow")
    assert isinstance(backbone, TSN)
    # A first convolution that passes on the channels x of field 1, y of field 1, x of field 2 ... as they come.
    seen: list[torch.Tensor] = []
    backbone.network.conv1.conv.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))  # type: ignore[union-attr]
    fields = np.zeros((1, 5, SIDE, SIDE, 2), np.uint8)
    fields += np.arange(10, dtype=np.uint8).reshape(1, 5, 1, 1, 2) + 128
    backbone.encode_snippets(fields)
    np.testing.assert_allclose(seen[0][0, :, 0, 0, 0], np.arange(10) / 128, atol=1e-6)


def test_a_window_shorter_than_a_flow_stack_is_refused() -> None:
    made("tsn", "rgb").check(SnippetWindows(1, 1))
    with pytest.raises(UsageError, match="--window 4: tsn needs at least 5 frames"):
        made("tsn", "flow").check(SnippetWindows(4, 1))
