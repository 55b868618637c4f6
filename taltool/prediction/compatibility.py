"""Whether features are what networks learnt from: made in the same way, of the same width, at the same pace."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from taltool.errors import DataError
from taltool.experiment.checkpoint import Checkpoint
from taltool.experiment.dataset import list_some
from taltool.prediction.detector import Detector
from taltool.reporting import Reporter

# The clock of the features may differ by this factor from the training's before it is worth a warning.
_CLOCK_TOLERANCE = 1.25
# What of an extraction changes numbers by rounding at most, or is told by the clock of each video.
_MEANINGLESS = ("dtype", "precision", "offset", "images_fps")


def check_extraction(
    checkpoints: Sequence[Checkpoint], extraction: Mapping[str, Any], source: str, force: bool, reporter: Reporter
) -> None:
    """Compare how the features of `source` were made with how those were that the networks learnt from.

    extraction is what `FeatureFile.extraction` says; where it, or a checkpoint, says nothing, that is told. Raises
    DataError, naming both sides, for a difference that changes what the numbers mean; with `force` it is told instead.
    """
    for checkpoint in checkpoints:
        if not (extraction and checkpoint.header.extraction):
            silent = checkpoint.path if extraction else source
            reporter.warn(f"{silent} does not say how its features were made; whether they fit cannot be checked")
            return
        streams = checkpoint.experiment.sampling.streams
        trained, found = (_meaning(each, streams) for each in (checkpoint.header.extraction, extraction))
        names = [name for name in sorted({*trained, *found}) if found.get(name) != trained.get(name)]
        if not names:
            continue
        if "backbone" in names:  # The rest follows from it.
            names = ["backbone"]
        differing = [f"{name} {_text(found.get(name))} instead of {_text(trained.get(name))}" for name in names]
        message = f"{source} has other features than {checkpoint.path} was trained on: {', '.join(differing)}"
        if not force:
            raise DataError(
                f"{message}; extract the videos as those were (taltool info {checkpoint.path} tells how), give the "
                "videos themselves, or use --force"
            )
        reporter.warn(message)


def _meaning(extraction: Mapping[str, Any], streams: Sequence[str]) -> dict[str, Any]:
    """What of a record decides what the numbers of some streams (none: of all) mean, each by a name of its own."""
    record = record_of_streams(extraction, streams)
    for name in [name for name in record if name.endswith("weights")]:  # Of one backbone, or with its name before it.
        named = name.removesuffix("weights") + "streams"
        record[name] = dict(zip(record.pop(named), record[name], strict=False))
    return dict(_leaves({name: value for name, value in record.items() if name not in _MEANINGLESS}))


def record_of_streams(record: Mapping[str, Any], streams: Collection[str]) -> dict[str, Any]:
    """A record without what makes other streams only; the whole of it where none of its streams is wanted.

    record: what `ExtractionSettings.record` gave, read from JSON; streams: those that are wanted, by the names of a
    feature file, which are those of backbones where there are several.
    """
    part, backbones = dict(record), str(record["backbone"]).split(",")
    wanted = [name for name in backbones if {name, f"{name}-rgb", f"{name}-flow"} & set(streams)] or backbones
    others = tuple(f"{name}." for name in backbones if name not in wanted)
    part = {name: value for name, value in part.items() if not name.startswith(others)} | {"backbone": ",".join(wanted)}
    if len(wanted) == 1:  # What is of one backbone alone does not have its name before it.
        part = {name.removeprefix(f"{wanted[0]}."): value for name, value in part.items()}
    own = part.get("streams", ())
    if {*own} & {*streams}:
        for name in {"streams", "weights"} & part.keys():
            part[name] = [each for stream, each in zip(own, part[name], strict=False) if stream in streams]
    if "weights" not in part and part.get("streams") == ["rgb"]:  # Without weights that is not said.
        del part["streams"]
    seen = [stream for name, value in part.items() if name.endswith("streams") for stream in value]
    if "flow" not in seen:
        part = {name: value for name, value in part.items() if name not in ("flow", "flow_fps")}
    return part


def _leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """The values in nested dicts, with the keys that lead to them."""
    if not isinstance(value, dict):
        return [(name, value)]
    return [leaf for key, inside in value.items() for leaf in _leaves(inside, f"{name}.{key}" if name else key)]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value if len(value) <= 40 else f"{value[:23]}..."  # A checksum.
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def check_kind(checkpoints: Sequence[Checkpoint], detector: Detector, video_ids: Sequence[str]) -> None:
    """Raise UsageError where networks learnt from frames and these videos have features, or the other way."""
    for checkpoint, member in zip(checkpoints, detector.members, strict=True):
        mend = f"extract as for its training (taltool info {checkpoint.path} tells how), or give the videos themselves"
        member.source.check(video_ids, checkpoint.path, mend)


def check_features(
    checkpoints: Sequence[Checkpoint], detector: Detector, video_ids: Sequence[str], reporter: Reporter
) -> None:
    """Compare the features with what the networks were trained on.

    Raises DataError for another number of channels; warns where the snippets lie farther apart or closer together.
    """
    for checkpoint, member in zip(checkpoints, detector.members, strict=True):
        for video_id in video_ids:
            width, expected = member.source.width(video_id), checkpoint.header.channels
            if width != expected:
                raise DataError(
                    f"{member.source.file.path}: video '{video_id}' has {width} channels, {checkpoint.path} was "
                    f"trained on {expected}; extract with the same backbone and streams"
                )
    source = detector.first.source
    paces = {video_id: source.clock(video_id).seconds_per_snippet for video_id in video_ids}
    check_paces(checkpoints[0], paces, source.file.path, reporter)


def check_paces(checkpoint: Checkpoint, paces: Mapping[str, float], source: str, reporter: Reporter) -> None:
    """Warn where snippets lie farther apart than those of the training, or closer; paces: seconds by video id."""
    trained = checkpoint.header.clock.get("seconds_per_snippet")
    # So many frames of each video have a pace for each.
    if trained is None or checkpoint.experiment.sampling.is_resampled or "frames" in checkpoint.header.extraction:
        return
    others = [
        video_id for video_id, pace in paces.items() if not 1 / _CLOCK_TOLERANCE <= pace / trained <= _CLOCK_TOLERANCE
    ]
    if others:
        found = sorted(paces[video_id] for video_id in others)
        seconds = f"{found[0]:.4g} s" if found[0] == found[-1] else f"{found[0]:.4g} to {found[-1]:.4g} s"
        reporter.warn(
            f"{source}: in {len(others)} of {len(paces)} videos snippets are {seconds} apart, {checkpoint.path} was "
            f"trained on {trained:.4g} s; expect worse detections in {list_some(others)}"
        )
