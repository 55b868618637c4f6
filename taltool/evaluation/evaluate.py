"""Evaluating files of detections against one ground truth, which is read once; needs no torch.

What is asked is resolved at the top of `evaluate`: names to rules, metrics and a part of the ground truth. Below, each
file's detections are matched once, and every metric reads its numbers from that (`ops.metrics.contract`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

from taltool.data.annotations import read_ground_truth
from taltool.data.records import Floats
from taltool.errors import UsageError
from taltool.evaluation.inputs import EvaluatedFile, Truth, chosen_part, files_to_read, names_in, read_detections
from taltool.ops.bootstrap import Comparison, Interval, compare, interval, resample, resampled_weights
from taltool.ops.metrics import METRICS
from taltool.ops.metrics.contract import Metric, MetricInput
from taltool.ops.protocols import Protocol, Thresholds, dataset_spec, parse_thresholds, protocol_named
from taltool.reporting import SILENT, Reporter

# The k of R@kx where that metric is asked for and no k.
_MULTIPLES = (1, 5)


@dataclass(frozen=True, eq=False, kw_only=True)
class FileResult(EvaluatedFile):
    """The numbers of one file by name, and their intervals of the bootstrap where it was asked for.

    class_values holds what each of K classes has (K,), where that was asked for, by the name of the number over all.
    """

    metrics: dict[str, float]
    class_values: dict[str, Floats]
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class PairComparison:
    """Each number of the file `second` against the file `first`, by name, on the same resamples."""

    first: str
    second: str
    metrics: dict[str, Comparison]


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Every file's numbers, and by which rules they were computed.

    truth: the videos and instances that the numbers are about.
    tious, recall_tious: the thresholds of mAP and its like, and those of recall.
    metric_of: which metric gave a number, by the number's name, in the order of reports.
    results: in the order of the files. comparisons: of each pair of files, where there was a bootstrap.
    bootstrap, seed: how many resamples, and how they were drawn.
    """

    truth: Truth
    protocol: Protocol
    tious: Thresholds
    recall_tious: Thresholds
    metric_of: dict[str, Metric]
    results: list[FileResult]
    comparisons: list[PairComparison]
    bootstrap: int
    seed: int

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers of the one file that was evaluated, by name; several files have theirs in `results`."""
        if len(self.results) != 1:
            raise UsageError(f"{len(self.results)} files were evaluated; results[n].metrics holds the numbers of each")
        return self.results[0].metrics

    @property
    def headlines(self) -> list[str]:
        """The names of the numbers that stand for all: each metric's headlines, or its first number."""
        names: dict[Metric, list[str]] = {}
        for name, metric in self.metric_of.items():
            names.setdefault(metric, []).append(name)
        found = [
            name
            for metric, own in names.items()
            for name in (own[:1] if metric.headlines is None else [each for each in own if each in metric.headlines])
        ]
        return found or list(self.metric_of)[:1]

    def thresholds_of(self, metric: Metric) -> Thresholds:
        """The thresholds that a metric reads."""
        return self.recall_tious if metric.thresholds == "recall" else self.tious

    def __repr__(self) -> str:
        lines = [
            ", ".join(
                f"{name}={result.metrics[name]:.4f} at tIoU {self.thresholds_of(self.metric_of[name]).text}"
                for name in self.headlines
            )
            for result in self.results
        ]
        if len(lines) == 1:
            return f"Evaluation({lines[0]}, {self.protocol.name}, {self.truth})"
        rows = "".join(f"\n  {result.file}: {line}" for result, line in zip(self.results, lines, strict=True))
        return f"Evaluation({self.protocol.name}, {self.truth}{rows})"


def evaluate(
    ground_truth: str | Path,
    *predictions: str | Path,
    protocol: str | None = None,
    preset: str | None = None,
    subset: str | None = None,
    split: str | None = None,
    tiou: str | float | Sequence[float] | None = None,
    ar_tiou: str | float | Sequence[float] | None = None,
    metric: str | Sequence[str] | None = None,
    an: int = 100,
    kx: str | Sequence[int] | None = None,
    per_class: bool = False,
    classes: str | Sequence[str] | None = None,
    agnostic: bool = False,
    exclude: str | Path | None = None,
    only_annotated: bool = False,
    bootstrap: int = 0,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> Evaluation:
    """Say how good the detections of one or more files are; without a file those of standard input.

        found = evaluate("gt.json", "detections.json", preset="thumos14")
        found.metrics["average_mAP"]

    ground_truth and predictions are paths. The options are those of `taltool evaluate`:

    protocol: whose rules, a name of `ops.protocols`. None: as the preset says, or activitynet.
    preset: a data set, for its subset and thresholds.
    subset: names of subsets, with commas. None: as the preset says, or validation.
    split: FILE:NAME, where FILE says which videos the subsets are. None: the ground truth itself.
    tiou, ar_tiou: thresholds of mAP, and of recall, as a text ("0.3:0.7:0.1") or as numbers. None: as the preset says,
        or 0.3:0.7:0.1 and 0.5:0.95:0.05. Where only metrics of recall are asked for, tiou is theirs too.
    metric: names of metrics, or paths of files that hold one. None: mAP where detections have labels, else recall.
    an: the largest average number of proposals per video.
    kx: the k of R@kx.
    per_class: also keep what each class has.
    classes: only these. None: all that the subset has.
    agnostic: make one class of all labels.
    exclude: a file of ids of videos that do not count.
    only_annotated: leave out detections in videos that the ground truth does not have, which else are false positives.
    bootstrap, seed: intervals from so many resamples of the videos, which are the same for all files.

    What was left out or looks wrong is told to `reporter` as a warning. Raises UsageError for what cannot be done as
    asked, and DataError for a file that is broken or does not fit.
    """
    spec = dataset_spec(preset)
    rules = protocol_named(protocol or spec.protocol)
    names = _metric_names(metric)
    multiples = _multiples(kx) or (_MULTIPLES if "kx" in names else ())
    # Where only metrics of recall are asked for, --tiou can mean nothing else.
    is_recall_only = bool(names) and all(METRICS.load(name).thresholds == "recall" for name in names)
    tious = parse_thresholds(tiou or spec.tious)
    recall_tious = parse_thresholds(ar_tiou or (is_recall_only and tiou) or spec.recall_tious, "--ar-tiou")
    paths = files_to_read(ground_truth, predictions)
    truth = chosen_part(
        read_ground_truth(str(ground_truth), split),
        subset=subset or spec.evaluation,
        split=split,
        protocol=rules,
        classes=names_in(classes),
        agnostic=agnostic,
        exclude=None if exclude is None else str(exclude),
        only_annotated=only_annotated,
        reporter=reporter,
    )
    files = list(map(partial(read_detections, within=truth.scope, reporter=reporter), paths))

    unlabelled = [] if agnostic else [file.file for file in files if file.lacks_labels]
    metrics = _metrics(names or ["ar" if len(unlabelled) == len(files) else "map"], multiples)
    for each in metrics:
        if each.needs_labels and unlabelled:
            raise UsageError(f"{unlabelled[0]}: no labels, so no {each.name}; ask for --metric ar, or for --agnostic")
    drawn = resampled_weights(len(truth.scope.video_ids), bootstrap, seed) if bootstrap else None
    results, resamples = [], []
    metric_of: dict[str, Metric] = {}
    for file in files:
        # One input for all metrics: what several of them need is computed by the first that asks.
        data = MetricInput(
            scope=truth.scope,
            detections=file.detections,
            protocol=rules,
            tious=tious,
            recall_tious=recall_tious,
            max_average=an,
            multiples=multiples,
        )
        numbers, of_classes = dict[str, float](), dict[str, Floats]()
        for each in metrics:
            of_classes |= each.class_values(data) if per_class else {}
            for name, values in each.values(data, data.weights()).items():
                if metric_of.setdefault(name, each) is not each:
                    raise UsageError(f"both {metric_of[name].name} and {each.name} give a number '{name}'; ask for one")
                numbers[name] = float(values[0])
        resamples.append({} if drawn is None else resample(metrics, data, drawn))
        results.append(
            FileResult(
                file=file.file,
                sha256=file.sha256,
                contents=file.contents,
                seen=file.seen,
                metrics=numbers,
                class_values=of_classes,
                intervals={name: interval(values) for name, values in resamples[-1].items()},
            )
        )
    return Evaluation(
        truth=truth,
        protocol=rules,
        tious=tious,
        recall_tious=recall_tious,
        metric_of=metric_of,
        results=results,
        comparisons=_comparisons(results, resamples, metric_of) if bootstrap else [],
        bootstrap=bootstrap,
        seed=seed,
    )


def _metric_names(given: str | Sequence[str] | None) -> list[str]:
    """The registered names, each once, of what `--metric` lists; `both` is mAP and recall."""
    words = [each for name in names_in(given) or () for each in (("map", "ar") if name == "both" else (name,))]
    return list(dict.fromkeys(map(METRICS.canonical, words)))


def _metrics(names: list[str], multiples: tuple[int, ...]) -> list[Metric]:
    """The metrics in their order; --kx asks for R@kx without naming it, which then comes before recall."""
    if multiples and "kx" not in names:
        place = names.index("ar") if "ar" in names else len(names)
        names = [*names[:place], "kx", *names[place:]]
    return [METRICS.load(name)() for name in names]


def _comparisons(
    results: list[FileResult], resamples: list[dict[str, Floats]], metric_of: dict[str, Metric]
) -> list[PairComparison]:
    """Every later file against every earlier one, on the resamples (B,) of each number."""
    return [
        PairComparison(
            results[a].file,
            results[b].file,
            {
                name: compare(
                    resamples[a][name],
                    resamples[b][name],
                    results[b].metrics[name] - results[a].metrics[name],
                    metric.better,
                )
                for name, metric in metric_of.items()
            },
        )
        for a, b in combinations(range(len(results)), 2)
    ]


def _multiples(given: str | Sequence[int] | None) -> tuple[int, ...]:
    """The k of R@kx, as numbers; none where none is given."""
    words = given.split(",") if given and isinstance(given, str) else [str(number) for number in given or ()]
    if not all(word.strip().isdecimal() and int(word) > 0 for word in words):
        raise UsageError(f"--kx {given}: expected positive whole numbers, such as 1,5")
    return tuple(map(int, words))
