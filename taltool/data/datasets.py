"""Facts about public data sets that evaluation and training need: one row each, and the only place that knows them."""

from dataclasses import dataclass

from taltool.errors import UsageError
from taltool.registry import did_you_mean


@dataclass(frozen=True)
class DatasetFacts:
    """How a data set is used.

    training and evaluation are names of its subsets; tious are the thresholds of its average mAP, recall_tious those
    of AR@AN; protocol the rules that papers on it follow today.
    """

    name: str
    training: str
    evaluation: str
    tious: str
    recall_tious: str = "0.5:0.95:0.05"
    protocol: str = "activitynet"


_ROWS = (
    # The untrimmed `validation` videos train, as the data set's own training clips are trimmed. Papers since about
    # 2019 follow the ActivityNet rules; the challenge's own kit is --protocol thumos14.
    DatasetFacts("thumos14", training="validation", evaluation="testing", tious="0.3:0.7:0.1"),
    # The labels of its testing subset are withheld.
    DatasetFacts("activitynet13", training="training", evaluation="validation", tious="0.5:0.95:0.05"),
)
DATASETS = {row.name: row for row in _ROWS}

# For data that no row describes.
ANY_DATASET = DatasetFacts("", training="training", evaluation="validation", tious="0.3:0.7:0.1")


def dataset_facts(name: str | None) -> DatasetFacts:
    """The row of the data set `name`; None or "auto" gives the facts of data that nobody described.

    Raises UsageError, listing the rows, for an unknown name.
    """
    if name is None or name == "auto":
        return ANY_DATASET
    if name not in DATASETS:
        known = list(DATASETS)
        raise UsageError(f"no data set is named '{name}'{did_you_mean(name, known)} (there are: {', '.join(known)})")
    return DATASETS[name]
