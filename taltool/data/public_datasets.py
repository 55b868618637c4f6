"""Facts about public data sets that evaluation and training need: one row each, and the only place that knows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from taltool.errors import UsageError
from taltool.registry import did_you_mean


@dataclass(frozen=True)
class DatasetSpec:
    """How a data set is used.

    training and evaluation are names of its subsets; tious are the thresholds of its average mAP, recall_tious those
    of AR@AN; protocol the rules that papers on it follow today. diagnosis_tious and groups are those of DETAD's
    figures: for a characteristic of instances, the values (seconds, shares, counts) that part its groups.
    """

    name: str
    training: str
    evaluation: str
    tious: str
    recall_tious: str = "0.5:0.95:0.05"
    protocol: str = "activitynet"
    diagnosis_tious: str = "0.5"
    groups: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


_ROWS = (
    # The untrimmed `validation` videos train, as the data set's own training clips are trimmed. Papers since about
    # 2019 follow the ActivityNet rules; the challenge's own kit is --protocol thumos14.
    DatasetSpec(
        "thumos14",
        training="validation",
        evaluation="testing",
        tious="0.3:0.7:0.1",
        groups={"coverage": (0.02, 0.04, 0.06, 0.08), "length": (3, 6, 12, 18), "num-instances": (1, 40, 80)},
    ),
    # The labels of their testing subsets are withheld. The older release has the same rules for half of the classes.
    *(
        DatasetSpec(
            name,
            training="training",
            evaluation="validation",
            tious="0.5:0.95:0.05",
            diagnosis_tious="0.5:0.95:0.05",
            groups={"coverage": (0.2, 0.4, 0.6, 0.8), "length": (30, 60, 120, 180), "num-instances": (1, 4, 8)},
        )
        for name in ("activitynet13", "activitynet12")
    ),
)
DATASETS = {row.name: row for row in _ROWS}

# For data that no row describes.
ANY_DATASET = DatasetSpec("", training="training", evaluation="validation", tious="0.3:0.7:0.1")


def dataset_spec(name: str | None) -> DatasetSpec:
    """The row of the data set `name`; None or "auto" gives ANY_DATASET.

    Raises UsageError, listing the rows, for an unknown name.
    """
    if name is None or name == "auto":
        return ANY_DATASET
    if name not in DATASETS:
        known = list(DATASETS)
        raise UsageError(f"no data set is named '{name}'{did_you_mean(name, known)} (there are: {', '.join(known)})")
    return DATASETS[name]
