"""The named choices of labelling and fusion, apart from the arithmetic: the command line starts without NumPy."""

from enum import StrEnum


class Combination(StrEnum):
    """How a proposal's score p and a class score c make a detection's.

    product: p c (AFSD, BMN, G-TAD, OpenTAD). sqrt: sqrt(p c) (ActionFormer). weighted: p^(1 - w) c^w.
    """

    product = "product"
    sqrt = "sqrt"
    weighted = "weighted"


class Vote(StrEnum):
    """What overlapping detections say of a proposal's class: their shares in a vote, or the best of each class."""

    share = "share"
    best = "best"


class FusionMethod(StrEnum):
    """How proposals of several sources come together; see `taltool.ops.fusion`.

    union: weighted scores, then suppression. rank: the same on quantiles. wbf: weighted boundary fusion.
    """

    union = "union"
    rank = "rank"
    wbf = "wbf"
