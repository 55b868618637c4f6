"""`convert`: any format into any other that can hold it, several files into one; nothing is lost without a word."""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from taltool.data.annotations import read_id_list
from taltool.data.changes import Changes, changed
from taltool.data.class_lists import read_classes
from taltool.data.contents import concatenate, named, relabelled
from taltool.data.feature_checks import common_channels, compare_clocks
from taltool.data.files import STANDARD
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Content, Features, FormatOptions, Kind
from taltool.data.formats.output import able_to_write, for_output, write_proposals
from taltool.data.formats.sniffing import format_named, format_of, open_content
from taltool.data.given_twice import Durations
from taltool.data.hdf5_features import FeatureFile, FeatureWriter
from taltool.data.provenance import InputFile, step
from taltool.data.random_split import RandomSplit
from taltool.data.random_split import random_split as draw_split
from taltool.data.sidecars import read_durations, read_relabelling
from taltool.errors import UsageError
from taltool.reporting import SILENT, Reporter, Task

Value = TypeVar("Value")


@dataclass(frozen=True)
class Conversion:
    """What was written. left_out: what reading left out; lost: what the format of the output does not hold; in words,
    one phrase each; split: what --random-split drew, where it was asked for."""

    output: str
    kind: Kind
    format: str
    left_out: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    split: RandomSplit | None = None

    def __repr__(self) -> str:
        """`Conversion(gt.csv: annotations as csv; lost: 413 durations)`."""
        told = [f"{self.output}: {self.kind} as {self.format}"]
        told += [f"left out: {', '.join(self.left_out)}"] if self.left_out else []
        told += [f"lost: {', '.join(self.lost)}"] if self.lost else []
        told += [repr(self.split)] if self.split else []
        return f"Conversion({'; '.join(told)})"


def convert(
    *inputs: str | Path,
    output: str | Path = STANDARD,
    source: str | None = None,
    target: str | None = None,
    score: float | None = None,
    fps: float | None = None,
    stride: float | None = None,
    window: float | None = None,
    offset: float | None = None,
    dataset: str | Sequence[str] = "",
    channels_first: bool = False,
    crops: Literal["mean"] | None = None,
    durations: str | Path | Mapping[str, float] | None = None,
    subset: str | None = None,
    classes: str | Path | Mapping[str, int] | None = None,
    relabel: str | Path | Mapping[str, str] | None = None,
    keep_label: str | Sequence[str] | None = None,
    keep_subset: str | Sequence[str] | None = None,
    rename_subset: Mapping[str, str] | None = None,
    videos: str | Path | Collection[str] | None = None,
    strip_prefix: str = "",
    strip_suffix: str = "",
    add_prefix: str = "",
    columns: Mapping[str, str] | None = None,
    header: bool = True,
    times: str = "seconds",
    drop_invalid: bool = False,
    show_scores: bool = False,
    tier: str | Sequence[str] | None = None,
    tier_labels: bool = False,
    media: str | None = None,
    labels: str | None = None,
    background: str | None = None,
    random_split: float | None = None,
    by: str | None = None,
    resplit: bool = False,
    seed: int = 0,
    link: bool = False,
    provenance: bool = True,
    reporter: Reporter = SILENT,
) -> Conversion:
    """Read files of one kind, join them, write them to `output`; return, and warn of, what is left out or lost.

    Without a file standard input is read. source and target name formats (or Python files that register one); None: the
    content of the inputs and the name of the output tell. Where a file is asked for, what is in it will do too.

    What the inputs do not say:
    score: that of proposals that have none; durations: seconds by video id, or the file to read them from; classes:
    number by label, or their file; subset: of all annotations; times: "frames" are divided by fps, "shares"
    multiplied by the durations.
    fps, stride, window, offset (frames): the clock of features.
    dataset, channels_first, crops: of arrays of features, the part of their names that is not of videos' ids, several
    ("rgb,flow") being streams of one video; that they are (C, T); "mean": the average of the crops of one picture.
    columns, header: which column of a table is the video, start, end, label, score or subset, by its name or, without
    header, by its number from 1.
    labels, background: verb, noun, action or sound, where a file holds several kinds of labels; the labels of frames,
    parted by commas, that are no action.
    tier, tier_labels, media: of the files of annotation tools those tiers (attributes, ...) alone; that their names are
    the labels; what the tool is told that the file of a video is called, {} being its id.

    What is changed:
    strip_prefix, strip_suffix, add_prefix, videos (ids, or the file that lists them), rename_subset, keep_subset: see
    `changes.Changes`; relabel: the labels that stay, and their new names, or their file; keep_label: those that stay
    as they are.
    drop_invalid: segments that end before they start are left out; show_scores: subtitles have them beside labels.
    random_split: this share of the videos of a ground truth is put into the subset training and the others into
    validation, drawn by seed, videos of one group `by` together; resplit: even where they are in subsets already.
    link: features stay where they are, and the output refers to them.

    Where the output is a folder, or its name ends with "/", each video gets a file of its own, see `write_proposals`.

    Raises UsageError where the target cannot hold the content, DataError for broken input or files that do not fit
    together.
    """
    paths, output = [str(path) for path in inputs] or [STANDARD], str(output)
    clock = {"fps": fps, "stride": stride, "window": window, "offset": offset}
    changes = Changes(
        strip_prefix=strip_prefix,
        strip_suffix=strip_suffix,
        add_prefix=add_prefix,
        videos=read_id_list(str(videos))[0] if isinstance(videos, str | Path) else videos,
        rename_subsets=rename_subset or {},
        keep_subsets=_several(keep_subset),
        fps=fps if times == "frames" else None,
        shares=times == "shares",
    )
    options = FormatOptions(
        score=score,
        clock={name: value for name, value in clock.items() if value is not None},
        durations=changes.durations(_mapping(durations, read_durations) or {}),
        subset=subset,
        classes=_mapping(classes, read_classes),
        drop_invalid=drop_invalid,
        show_scores=show_scores,
        tiers=_several(tier),
        tier_labels=tier_labels,
        media=media,
        labels=labels,
        background=None if background is None else tuple(name.strip() for name in background.split(",")),
        dataset=tuple(filter(None, dataset.split(",") if isinstance(dataset, str) else dataset)),
        channels_first=channels_first,
        crops=crops,
        columns=columns or {},
        header=header,
        raw_times=times != "seconds",
    )
    if times not in ("seconds", "frames", "shares"):
        raise UsageError(f"--times {times}: expected seconds, frames or shares")
    if times == "frames" and fps is None:
        raise UsageError("--times frames: how many frames a second? Give --fps")
    if relabel and keep_label:
        raise UsageError("--relabel lists the labels that stay, and so does --keep-label; give one of both")
    if options.columns or not header:
        source = source or "csv"
        if source not in ("csv", "csv-features"):
            raise UsageError(f"--columns, --no-header: they are of tables, and not of --from {source}")
    if random_split is None and (by is not None or resplit):
        raise UsageError("--by and --resplit belong to --random-split")
    if random_split is not None and subset is not None:
        raise UsageError("--subset puts all videos into one subset, --random-split into two; leave one of them out")
    this_step = step(map(InputFile.named, paths)) if provenance else None
    names = _mapping(relabel, read_relabelling) or {name: name for name in _several(keep_label)}
    with contextlib.ExitStack() as files:
        sources = [format_of(path, source) for path in paths]
        contents = [files.enter_context(open_content(*each, options)) for each in zip(paths, sources, strict=True)]
        content = concatenate(contents, paths)
        name = FORMATS.canonical(target) if target else for_output(output, content.kind)
        layout = able_to_write(name, content.kind)
        _refuse_idle(options, content.kind, sources, name, changes.of_times)
        content = changed(content, changes, reporter)
        if options.classes is not None:
            content = named(content, options.classes, ", ".join(paths))
        Durations(options.durations, ", ".join(paths), reporter).compare(content)
        if names:
            content = relabelled(content, names)
        split = None
        if random_split is not None:
            content, split = _split(content, random_split, by, resplit, seed)
        if isinstance(content, Features) and not layout.holds_frames and content.of_frames:
            raise UsageError(
                f"--to {name}: it holds features, the input holds frames, which stay HDF5: give -o FRAMES.h5, or make "
                "features: taltool extract VIDEOS -o FEATURES.h5"
            )
        if not isinstance(content, Annotations):
            content.provenance = None if this_step is None else [*(content.provenance or []), this_step]
        if isinstance(content, Features):
            for hint in content.hints:
                reporter.warn(f"{', '.join(paths)}: {hint}")
            common_channels(content, content.ids, ", ".join(paths))
            compare_clocks(content, content.ids, ", ".join(paths), reporter, is_said=bool(options.clock))
        if link:
            if changes != Changes():
                raise UsageError("--link refers to all videos by their ids: other ids, or fewer videos, need a copy")
            _link(content, name, paths, output, options)
            return Conversion(output, content.kind, name)
        if isinstance(content, Features):
            task = files.enter_context(reporter.track("convert", len(content.ids)))
            content.values = _advancing(task, content.values)
            lost = layout.write(content, output, options)
            if lost:
                reporter.warn(f"{output}: the format {name} does not hold {'; '.join(lost)}")
        else:
            lost = write_proposals(content, output, name, options, reporter=reporter)
    if isinstance(content, Features):
        content.notes += [note for each in contents[1:] for note in each.notes]
    for note in content.notes:
        reporter.warn(f"{', '.join(paths)}: left out {note}")
    if split is not None:
        _tell(split, seed, reporter)
    return Conversion(output, content.kind, name, tuple(content.notes), tuple(lost), split)


def _split(content: Content, share: float, by: str | None, resplit: bool, seed: int) -> tuple[Annotations, RandomSplit]:
    """A ground truth with subsets that are drawn, as its member `random_split` says, and what was drawn."""
    if not isinstance(content, Annotations):
        raise UsageError(f"--random-split: {content.kind} have no subsets; split the ground truth")
    entries = dict(content.entries)
    there = list(dict.fromkeys(entry["subset"] for entry in entries.values() if entry.get("subset") is not None))
    if there and not resplit:
        raise UsageError(
            f"--random-split: the videos are in subsets already ({', '.join(there[:5])}); --resplit puts new ones in "
            "their place"
        )
    labels_of = {key: [each["label"] for each in entry.get("annotations") or []] for key, entry in entries.items()}
    drawn = draw_split(labels_of, share, seed, by)
    drawn_entries = ((key, entry | {"subset": drawn.subset_of[key]}) for key, entry in entries.items())
    record = {"training": share, "seed": seed} | ({} if by is None else {"by": by})
    return Annotations(drawn_entries, content.head | {"random_split": record}, content.notes), drawn


def _tell(split: RandomSplit, seed: int, reporter: Reporter) -> None:
    """Say what was drawn, and which classes a side lacks."""
    counts = "; ".join(f"{name} {side.videos} videos, {side.instances} instances" for name, side in split.sides.items())
    reporter.note(f"drawn with seed {seed}: {counts}")
    for name, side in split.sides.items():
        if side.lacking:
            some = ", ".join(f"'{label}'" for label in side.lacking[:5]) + (", ..." if len(side.lacking) > 5 else "")
            reporter.warn(f"{name} has no instance of {len(side.lacking)} classes: {some}; try another --seed")


def _refuse_idle(options: FormatOptions, kind: Kind, sources: Collection[str], target: str, of_times: str) -> None:
    """Raise UsageError for an option that changes nothing here: the user means something else by it."""
    heeded = format_named(target).heeds_written.union(*(format_named(name).heeds for name in sources))
    of_features = kind == "features"
    given = {
        "--labels": options.labels is not None and "labels" not in heeded,
        "--background": options.background is not None and "background" not in heeded,
        "--tier": bool(options.tiers) and "tier" not in heeded,
        "--tier-labels": options.tier_labels and "tier_labels" not in heeded,
        "--media": options.media is not None and "media" not in heeded,
        "--show-scores": options.show_scores and "show_scores" not in heeded,
        "--dataset, --channels-first, --crops": bool(options.dataset or options.channels_first or options.crops)
        and "dataset" not in heeded,
        "--fps": "fps" in options.clock and not (of_features or options.raw_times or "fps" in heeded),
        "--stride, --window, --offset": bool(options.clock.keys() - {"fps"}) and not of_features,
        "--score": options.score is not None and kind != "proposals",
        "--subset": options.subset is not None and kind != "annotations",
    }
    if idle := [option for option, is_idle in given.items() if is_idle]:
        hint = "; of times in frames --times frames makes seconds" if idle[0] == "--fps" else ""
        raise UsageError(f"{idle[0]}: changes nothing of {kind} from {', '.join(dict.fromkeys(sources))}{hint}")
    certain = [name for name in sources if "times" not in format_named(name).heeds]
    if options.raw_times and certain and not of_features:
        raise UsageError(f"--times {of_times}: {certain[0]} says itself what its times are; leave it out")


def _several(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One or several texts, or none."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def _mapping(
    given: str | Path | Mapping[str, Value] | None, read: Callable[[str], Mapping[str, Value]]
) -> Mapping[str, Value] | None:
    """What was given, or is in the file that was named; None for nothing."""
    if isinstance(given, str | Path):
        return read(str(given)) if str(given) else None
    return given


def _link(content: Content, target: str, paths: Sequence[str], output: str, options: FormatOptions) -> None:
    """Write a feature file that refers to the videos of the inputs, which are feature files too."""
    if not isinstance(content, Features) or target != "hdf5":
        raise UsageError("--link joins feature files (HDF5) into one that refers to them; leave it out to copy")
    if options.clock:
        raise UsageError("--link leaves videos as they are, so --fps, --stride, --window, --offset need a copy")
    with contextlib.ExitStack() as files:
        chain = content.provenance
        writer = files.enter_context(FeatureWriter(output, content.attributes, content.streams or None, chain))
        for path in paths:
            file = files.enter_context(FeatureFile(path))
            for video_id in file.ids:
                file.check(video_id)
                writer.link(video_id, path)


def _advancing(task: Task, values: Callable[[str], Any]) -> Callable[[str], Any]:
    """The values of videos, each of which advances the task."""

    def of(video_id: str) -> Any:
        found = values(video_id)
        task.advance()
        return found

    return of
