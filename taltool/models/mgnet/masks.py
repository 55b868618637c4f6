"""From foreground probabilities to what each snippet may attend to (MGNet, section 3.3.2 and Fig. 6)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from taltool.models.mgnet.config import MaskForm


def binarised(probabilities: Tensor, alpha: float, valid: Tensor) -> Tensor:
    """Where probabilities (B, T) reach alpha times the highest of the sample: (B, T) bool (Eq. 6).

    Padding, valid (B, T) False, neither is foreground nor has the highest.
    """
    visible = torch.where(valid, probabilities, -1.0)
    return (visible >= alpha * visible.amax(1, keepdim=True)) & valid


def dilated(maps: Tensor, kernel: int) -> Tensor:
    """Maps (B, R, T) bool grown by a square of kernel x kernel, kernel being odd (Eq. 7).

    A map of one row stands for T equal rows.
    """
    height = 1 if maps.shape[1] == 1 else kernel
    grown = F.max_pool2d(maps[:, None].float(), (height, kernel), stride=1, padding=(height // 2, kernel // 2))
    return grown[:, 0] > 0.5


def mask_map(foreground: Tensor, form: MaskForm, kernel: int) -> Tensor:
    """The dilated mask map (B, T, T) bool, row = query, of foreground (B, T) bool; (B, 1, T) if its rows are equal.

    The formations of Fig. 6: everything sees the foreground (all_fores) or everything (none); foreground sees its own
    segment (fore_self) or all foreground (fores_fores), where background sees nothing or its neighbours (backs_adj).
    """
    if form == "none":
        return torch.ones_like(foreground)[:, None]
    if form == "all_fores":
        return dilated(foreground[:, None], kernel)
    seen = foreground[:, :, None] & foreground[:, None]
    if form == "fore_self":
        segment = (F.pad(foreground, (1, 0)).int().diff(dim=1) == 1).cumsum(1)
        seen = seen & (segment[:, :, None] == segment[:, None])
    if form == "fores_fores_backs_adj":
        place = torch.arange(foreground.shape[1], device=foreground.device)
        seen = seen | ~foreground[:, :, None] & ((place[:, None] - place).abs() <= 1)
    return dilated(seen, kernel)
