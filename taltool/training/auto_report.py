"""What `--preset auto` chose for the data, and by which of their facts, in four lines."""

from taltool.data.statistics import DatasetStatistics
from taltool.experiment.settings import Experiment, SamplingSettings
from taltool.models.auto_recipes import samples_per_epoch

# Between these quantiles lie nine in ten instances.
_SHORT, _LONG = 0.05, 0.95


def describe_choice(statistics: DatasetStatistics, experiment: Experiment) -> list[str]:
    """The facts, what a sample is, how long training takes, and what keeps it from learning data by heart."""
    return [
        _facts(statistics),
        _samples(statistics, experiment),
        _updates(statistics, experiment),
        _regularisation(statistics, experiment),
    ]


def _unit(statistics: DatasetStatistics) -> str:
    return "snippets" if statistics.frame_size is None else "frames"


def _facts(statistics: DatasetStatistics) -> str:
    shortest, longest = statistics.video_lengths[0], statistics.video_lengths[-1]
    short, long = (statistics.instance_length(quantile) for quantile in (_SHORT, _LONG))
    return (
        f"{statistics.num_videos:,} videos of {shortest:,} to {longest:,} {_unit(statistics)} of "
        f"{statistics.seconds_per_snippet:.3g} s; {len(statistics.instance_lengths):,} instances of "
        f"{statistics.num_classes} classes, nine in ten of {short:.3g} to {long:.3g} {_unit(statistics)}"
    )


def _samples(statistics: DatasetStatistics, experiment: Experiment) -> str:
    sampling, unit, longest = experiment.sampling, _unit(statistics), statistics.video_lengths[-1]
    if sampling.resize == "rescale":
        return f"each video rescaled to {sampling.length} {unit}"
    if sampling.resize == "pad" and longest <= sampling.length:
        return f"each video whole: the longest has {longest:,} {unit}"
    if sampling.resize == "pad":
        return f"crops of {sampling.length} {unit} in training, whole videos in prediction"
    times = sampling.length / max(statistics.instance_length(_LONG), 1e-9)
    what = f"windows of {sampling.length} {unit}, {times:.2g} times a long instance, {sampling.train_stride} apart"
    factor = experiment.prediction.cut_factor
    return what if factor == 1 else f"{what}; candidates that a window cuts have {factor:g} of their score"


def _updates(statistics: DatasetStatistics, experiment: Experiment) -> str:
    training = experiment.training
    samples = samples_per_epoch(statistics, _plain(experiment.sampling))
    updates = training.epochs * -(-samples // training.batch_size)
    return (
        f"about {updates:,} updates of {training.batch_size} samples ({training.epochs} epochs), by the number of "
        "instances: more would learn them by heart"
    )


def _plain(sampling: SamplingSettings) -> dict[str, object]:
    return {"resize": sampling.resize, "length": sampling.length, "train_stride": sampling.train_stride}


def _regularisation(statistics: DatasetStatistics, experiment: Experiment) -> str:
    sampling, width = experiment.sampling, getattr(experiment.model, "width", 0)
    network = f"a network {width} channels wide, " if width else ""
    if statistics.frame_size is not None:
        return f"{network}no noise on frames: they are cropped and mirrored at random"
    if not (sampling.feature_noise or sampling.feature_dropout):
        return f"{network}no noise on features: there are instances enough"
    return (
        f"{network}noise of {sampling.feature_noise:g} deviations on features, of whose channels "
        f"{sampling.feature_dropout:.0%} are dropped: instances are few"
    )
