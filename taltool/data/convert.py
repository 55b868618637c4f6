"""Any format into any other that can hold it; several files of one kind into one. Nothing is lost without a word."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import orjson
from numpy.typing import NDArray

from taltool.data.formats.contract import Annotations, Content, Features, FormatOptions, Proposals
from taltool.data.formats.sniffing import for_output, format_named, open_content
from taltool.data.hdf5_features import FeatureFile, FeatureWriter
from taltool.data.provenance import Step, merge_chains
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.data.relabelling import relabelled
from taltool.errors import DataError, UsageError
from taltool.reporting import SILENT, Reporter, Task

# Root attributes in which two shards of one extraction may differ.
_OF_A_SHARD = ("shard",)


@dataclass(frozen=True)
class Conversion:
    """What to convert into what. Formats are told by content and by the output's name unless they are given; step is
    this conversion's link of the provenance chain, None to write no provenance. refer: features stay where they are,
    and the output only refers to them. relabel: the labels that stay, and their new names; empty: all."""

    paths: Sequence[str]
    output: str
    source: str | None = None
    target: str | None = None
    options: FormatOptions = field(default_factory=FormatOptions)
    step: Step | None = None
    refer: bool = False
    relabel: Mapping[str, str] = field(default_factory=dict)


def convert(wanted: Conversion, reporter: Reporter = SILENT) -> None:
    """Read, join, write, and warn of what is lost.

    Raises UsageError where the target cannot hold the content, DataError for broken input or files that do not fit
    together.
    """
    with contextlib.ExitStack() as files:
        contents = [files.enter_context(open_content(path, wanted.source, wanted.options)) for path in wanted.paths]
        content = concatenate(contents, wanted.paths)
        if wanted.relabel:
            content = relabelled(content, wanted.relabel)
        name = wanted.target or for_output(wanted.output, content.kind)
        target = format_named(name)
        if content.kind not in target.kinds:
            raise UsageError(f"--to {name}: it holds {' and '.join(target.kinds)}, the input holds {content.kind}")
        if not isinstance(content, Annotations):
            content.provenance = None if wanted.step is None else [*(content.provenance or []), wanted.step]
        if wanted.refer:
            _refer(content, name, wanted)
            return
        with _tracked(content, reporter):
            lost = target.write(content, wanted.output, wanted.options)
    for note in content.notes:
        reporter.warn(f"{', '.join(wanted.paths)}: left out {note}")
    if lost:
        reporter.warn(f"{wanted.output}: the format {name} does not hold {'; '.join(lost)}")


def _refer(content: Content, target: str, wanted: Conversion) -> None:
    """Write a feature file that refers to the videos of the inputs, which are feature files too."""
    if not isinstance(content, Features) or target != "hdf5":
        raise UsageError("--link joins feature files (HDF5) into one that refers to them; leave it out to copy")
    if wanted.options.clock:
        raise UsageError("--link leaves videos as they are, so --fps, --stride, --window, --offset need a copy")
    with contextlib.ExitStack() as files:
        chain = content.provenance
        writer = files.enter_context(FeatureWriter(wanted.output, content.attributes, content.streams or None, chain))
        for path in wanted.paths:
            file = files.enter_context(FeatureFile(path))
            for video_id in file.ids:
                file.check(video_id)
                writer.link(video_id, path)


@contextlib.contextmanager
def _tracked(content: Content, reporter: Reporter) -> Iterator[None]:
    if not isinstance(content, Features):
        yield
        return
    with reporter.track("convert", len(content.ids)) as task:
        content.values = _Counted(content.values, task)
        yield


@dataclass(frozen=True)
class _Counted:
    """Values of videos, each of which advances a task."""

    values: Callable[[str], NDArray[np.floating[Any]]]
    task: Task

    def __call__(self, video_id: str) -> NDArray[np.floating[Any]]:
        values = self.values(video_id)
        self.task.advance()
        return values


def concatenate(contents: Sequence[Content], paths: Sequence[str]) -> Content:
    """One content of all; raises DataError where two hold the same video, kinds mix, or features differ in settings."""
    if len(contents) == 1:
        return contents[0]
    for content, path in zip(contents, paths, strict=True):
        if content.kind != contents[0].kind:
            raise DataError(f"{path} holds {content.kind}, {paths[0]} {contents[0].kind}: one kind at a time")
    notes = [note for content in contents for note in content.notes]
    if isinstance(contents[0], Features):
        return _joined_features(cast(Sequence[Features], contents), paths)
    if isinstance(contents[0], Annotations):
        return _joined_annotations(cast(Sequence[Annotations], contents), paths, notes)
    return _joined_proposals(cast(Sequence[Proposals], contents), paths)


def _owners(ids: Iterable[Iterable[str]], paths: Sequence[str]) -> dict[str, int]:
    """Which file each video is in; raises DataError for a video in two."""
    owners: dict[str, int] = {}
    for number, found in enumerate(ids):
        for video_id in found:
            _own(owners, video_id, number, paths)
    return owners


def _own(owners: dict[str, int], video_id: str, number: int, paths: Sequence[str]) -> None:
    if video_id in owners:
        other = paths[owners[video_id]]
        raise DataError(f"{paths[number]}: video '{video_id}' is in {other} too; leave one of them out")
    owners[video_id] = number


def _joined_proposals(contents: Sequence[Proposals], paths: Sequence[str]) -> Proposals:
    chain = merge_chains(content.provenance for content in contents)
    names = LabelVocabulary(name for content in contents for name in content.names)
    joined = Proposals((), names, None, chain, open_ended=True)
    joined.videos = _one_after_the_other(contents, paths, joined)
    return joined


def _one_after_the_other(
    contents: Sequence[Proposals], paths: Sequence[str], joined: Proposals
) -> Iterator[VideoProposals]:
    """The videos of all files, a video at a time; what they note goes to `joined`."""
    owners: dict[str, int] = {}
    for number, content in enumerate(contents):
        for video in content.videos:
            _own(owners, video.video_id, number, paths)
            yield video
        joined.notes += content.notes


def _joined_annotations(contents: Sequence[Annotations], paths: Sequence[str], notes: list[str]) -> Annotations:
    head = contents[0].head
    for content, path in zip(contents[1:], paths[1:], strict=True):
        other = [key for key, value in content.head.items() if key != "database" and value != head.get(key)]
        if other:
            notes.append(f"{', '.join(other)} of {path}")
    return Annotations(_entries_one_after_the_other(contents, paths), head, notes)


def _entries_one_after_the_other(
    contents: Sequence[Annotations], paths: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    owners: dict[str, int] = {}
    for number, content in enumerate(contents):
        for video_id, entry in content.entries:
            _own(owners, video_id, number, paths)
            yield video_id, entry


def _joined_features(contents: Sequence[Features], paths: Sequence[str]) -> Features:
    owners = _owners((content.ids for content in contents), paths)
    first = _settings(contents[0])
    for content, path in zip(contents[1:], paths[1:], strict=True):
        theirs = _settings(content)
        for name in sorted({*first, *theirs}):
            if theirs.get(name) != first.get(name):
                raise DataError(
                    f"{path}: {name} is {theirs.get(name)}, in {paths[0]} it is {first.get(name)}; "
                    "only files of one extraction can be joined"
                )
    return replace(
        contents[0],
        ids=sorted(owners),
        shape=lambda video_id: contents[owners[video_id]].shape(video_id),
        clock=lambda video_id: contents[owners[video_id]].clock(video_id),
        values=lambda video_id: contents[owners[video_id]].values(video_id),
        extras=lambda video_id: contents[owners[video_id]].extras(video_id),
        provenance=merge_chains(content.provenance for content in contents),
    )


def _settings(content: Features) -> dict[str, str]:
    """What must be equal in files that are joined, as text."""
    kept: dict[str, str] = {}
    for name, value in content.attributes.items():
        if name == "settings":  # The record of an extraction: what differs is told one by one.
            kept |= {key: str(each) for key, each in orjson.loads(value).items()}
        elif name not in _OF_A_SHARD:
            kept[name] = str(value)
    channels = {str(content.shape(video_id)[1]) for video_id in content.ids[:1]}
    return kept | {"streams": str(content.streams), "number of channels": ", ".join(channels)}
