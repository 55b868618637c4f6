"""The named choices of labelling and fusion, apart from the arithmetic: the command line starts without NumPy."""

from enum import StrEnum


class Combination(StrEnum):
    """How a proposal's score p and a class score c make a detection's: p c, sqrt(p c), or p^(1 - w) c^w."""

    product = "product"
    sqrt = "sqrt"
    weighted = "weighted"


class Vote(StrEnum):
    """What overlapping detections say of a proposal's class: their shares in a vote, or the best of each class."""

    share = "share"
    best = "best"


class FusionMethod(StrEnum):
    """union: weighted scores. rank: the same on quantiles. wbf: weighted boundary fusion."""

    union = "union"
    rank = "rank"
    wbf = "wbf"
