"""`check`: is a file whole, and does it make sense: what is in it is what it says, and nothing in it is odd."""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taltool.data.annotations import read_ground_truth, read_split
from taltool.data.checkpoint_header import KEY, CheckpointHeader, read_tensor_table
from taltool.data.class_scores import read_numbers
from taltool.data.clock import UnknownClockError
from taltool.data.feature_checks import common_channels, disagreement
from taltool.data.files import STANDARD, read_bytes
from taltool.data.formats.contract import Annotations, Features, FormatOptions, Kind, Proposals
from taltool.data.formats.output import for_output, write_proposals
from taltool.data.formats.sniffing import beginning, format_named, format_of
from taltool.data.json_documents import parsed_document, telling_key
from taltool.data.provenance import InputFile, step
from taltool.data.records import GroundTruth
from taltool.data.sidecars import read_durations
from taltool.data.training_log import read_epochs
from taltool.errors import DataError, UsageError
from taltool.inspection.info import info, kind_of, logits, opened
from taltool.inspection.names import subset_slips
from taltool.inspection.oddities import Oddities
from taltool.inspection.reference import add_differences, add_other_durations
from taltool.inspection.sense import BACKWARDS, FIXES, AnnotationSense, ProposalSense, Sense
from taltool.inspection.side_files import side_file
from taltool.reporting import SILENT, Reporter

# Unsigned views of the number types of safetensors, and the bits of the exponent: all set = infinite or NaN.
_EXPONENTS = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000), "F64": ("<u8", 0x7FF << 52)}


@dataclass(frozen=True)
class Finding:
    """What was found of one file. summary: in a few words what it holds, or why it is not whole; oddities: what is odd
    in it but usable, one phrase each; mended: what is no more so in the file that was written."""

    file: str
    is_whole: bool
    summary: str
    oddities: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """`Finding(gt.json: ok: annotations, ...; odd: 47 repeated instances ...)`."""
        odd = f"; odd: {', '.join(self.oddities)}" if self.oddities else ""
        mended = f"; mended: {', '.join(self.mended)}" if self.mended else ""
        return f"Finding({self.file}: {'ok' if self.is_whole else 'not whole'}: {self.summary}{odd}{mended})"


def check(
    file: str | Path = STANDARD,
    *,
    ground_truth: str | Path | None = None,
    durations: str | Path | Mapping[str, float] | None = None,
    score: float | None = None,
    show_all: bool = False,
    fix: str | None = None,
    output: str | Path | None = None,
    reporter: Reporter = SILENT,
) -> Finding:
    """Read all of a file of any kind and say whether it is whole, and what is odd in it, which is warned of too.

    ground_truth: a file whose videos, durations and labels it should fit. durations: of videos without one, seconds by
    video id, or the file to read them from; score stands in for missing scores of
    proposals. show_all: warn of every odd segment by itself too. fix: what to mend of a ground truth or of proposals,
    words of `FIXES` with commas between, or "all"; `output` gets all else as it was, and the oddities that are told are
    those that it has. A file that is not whole, or not there, raises nothing, unless it was to be mended.

    Raises UsageError for a fix that there is none, without an output, or of a file of another kind; DataError where the
    ground truth cannot be read, or nothing can be mended or written.
    """
    file, fixes = str(file), _fixes(fix)
    if bool(fixes) != bool(output):
        raise UsageError(f"--fix {fix or 'all'} and -o FILE belong together: what to mend, and where it goes")
    odd, mended = Oddities(file, reporter, show_all), Oddities(file, reporter)
    truth = read_ground_truth(str(ground_truth)) if ground_truth else None
    known = durations if isinstance(durations, Mapping) else read_durations(str(durations)) if durations else {}
    options = FormatOptions(score=score, durations=known, drop_invalid=BACKWARDS in fixes)
    task = _Task(path=file, truth=truth, options=options, fixes=fixes, output=str(output or ""), odd=odd, mended=mended)
    try:
        summary = task.summary(reporter)
    except DataError as error:
        if fixes:
            raise
        return Finding(file, False, str(error).removeprefix(f"{file}: "))
    oddities, done = tuple(odd.told()), tuple(mended.told())
    for each in done:
        reporter.note(f"{output}: mended: {each}")
    for oddity in oddities:
        reporter.warn(f"{output or file}: {oddity}")
    return Finding(file, True, summary, oddities, done)


def _fixes(words: str | None) -> tuple[str, ...]:
    wanted = tuple(word.strip() for word in words.split(",")) if words else ()
    for word in wanted:
        if word not in (*FIXES, "all"):
            raise UsageError(f"--fix {word}: what is mended is {', '.join(FIXES)}, or all of it")
    return FIXES if "all" in wanted else wanted


@dataclass(frozen=True)
class _Task:
    """What was asked of one file, and the counts of what is odd in it and what was mended."""

    path: str
    truth: GroundTruth | None
    options: FormatOptions
    fixes: tuple[str, ...]
    output: str
    odd: Oddities
    mended: Oddities

    def summary(self, reporter: Reporter) -> str:
        """What the file holds, in a few words; raises DataError, saying why, where it is not whole."""
        side = side_file(beginning(self.path)) if self.path == STANDARD or not Path(self.path).is_dir() else None
        kind = side or kind_of(self.path)
        if kind != "content" and self.fixes:
            raise UsageError(f"--fix mends ground truth and proposals; {self.path} holds neither")
        if kind == "checkpoint":
            return _checkpoint(self.path, self.odd)
        if kind in ("video", "videos", "frames"):
            return _video(self.path, kind, self.odd)
        if kind == "metrics":
            return f"metrics, {len(read_epochs(self.path))} epochs"
        if kind == "class scores":
            return self._class_scores()
        if kind == "splits":
            return self._splits()
        with opened(self.path, self.options, own="durations|score|fix|to") as content:
            if self.fixes and content.kind != "features":
                self._refuse_to_rewrite(content.kind)
            if isinstance(content, Proposals):
                return self._proposals(content, reporter)
            if isinstance(content, Annotations):
                return self._annotations(content, reporter)
            if self.fixes:
                raise UsageError(f"--fix mends ground truth and proposals; {self.path} holds features")
            return _features(self.path, content, self.odd, self.truth, self.options.durations)

    def _refuse_to_rewrite(self, kind: Kind) -> None:
        """Raise UsageError where a file of an annotation tool would be written anew, without what else is in it."""
        name = format_of(self.path)
        if "media" in format_named(name).heeds_written and for_output(self.output, kind) == name:
            raise UsageError(
                f"--fix: {self.path} may have more in it than segments (media files, colours, other tiers), which is "
                f"lost where taltool writes {name}; mend it in the tool, or into a table: -o mended.csv"
            )

    def _proposals(self, content: Proposals, reporter: Reporter) -> str:
        key = telling_key(beginning(self.path).head)[0] if self.path != STANDARD else "taltool"
        sense = ProposalSense(self.odd, self.mended, self.fixes, self.truth.durations if self.truth else None)
        content.videos = sense.walk(content.videos)
        if self.fixes:
            content.provenance = [*(content.provenance or []), step([InputFile.named(self.path)])]
            write_proposals(content, self.output, None, self.options, reporter=reporter)
        else:
            deque(content.videos, maxlen=0)
        self._finish(sense, content)
        unsure = "" if key in ("taltool", "results") else "; plain lines, no end line tells whether they are all"
        return f"proposals, {len(sense.durations)} videos, {sense.num_segments} proposals{unsure}"

    def _annotations(self, content: Annotations, reporter: Reporter) -> str:
        sense = AnnotationSense(self.path, self.odd, self.mended, self.fixes, self.options.durations)
        content.entries = sense.walk(content.entries)
        if self.fixes:
            write_proposals(content, self.output, None, self.options, reporter=reporter)
        else:
            deque(content.entries, maxlen=0)
        self._finish(sense, content)
        counts = f"{len(sense.durations)} videos, {sense.num_segments} instances, {len(sense.labels)} classes"
        return f"annotations, {counts}"

    def _finish(self, sense: Sense, content: Proposals | Annotations) -> None:
        sense.finish()
        # What the reader left out is mended where that was asked for, and else only looks whole.
        notes = self.mended.notes if self.fixes else self.odd.notes
        notes += [f"{note} left out" for note in content.notes]
        if self.truth is not None:
            add_differences(self.truth, sense.durations, sense.labels, self.odd)
        if self.options.durations:
            add_other_durations(self.options.durations, sense.durations, self.odd)

    def _class_scores(self) -> str:
        found, _ = read_numbers(self.path)
        if remark := logits(found):
            self.odd.notes.append(remark)
        if self.truth is not None and found.row_of is not None:
            # Those that are found with ActivityNet's `v_` or without it need not be there by this id.
            there = {each for each in self.truth.videos if found.find(each) is not None}
            others = {each for each in found.row_of if not there & {each, f"v_{each}", each.removeprefix("v_")}}
            add_differences(self.truth, dict.fromkeys(sorted(there | others)), found.names, self.odd)
        if self.truth is not None and found.row_of is None:
            late = [each for each in self.truth.videos if _number(each) > len(found.rows)]
            self.odd.add(f"videos of {self.truth.file} without a row", len(late), lambda number: f"'{late[number]}'")
        whose = "videos" if found.row_of is not None else "rows, row N being of the video whose name ends in N"
        return f"class scores, {len(found.rows)} {whose}, {len(found.names)} classes"

    def _splits(self) -> str:
        content = read_bytes(self.path)[0]
        splits = parsed_document(content, self.path)
        for name in splits:
            listed = read_split(f"{self.path}:{name}", self.truth, content)
            others = [each for each in (self.truth.videos if self.truth else ()) if each not in listed]
            self.odd.add(
                f"videos of {self.truth.file if self.truth else ''} that split '{name}' leaves out",
                len(others),
                lambda number, others=others: f"'{others[number]}'",  # type: ignore[misc]
            )
            for one, other in subset_slips(splits[name]):
                self.odd.notes.append(f"split '{name}' has the subsets '{one}' and '{other}'; are they one?")
            if not listed:
                self.odd.notes.append(f"split '{name}' lists no video")
        return f"splits, {len(splits)} of them: {', '.join(list(splits)[:10])}{', ...' if len(splits) > 10 else ''}"


def _number(video_id: str) -> int:
    """The number at the end of an id, 0 where there is none."""
    found = re.search(r"\d+$", video_id)
    return int(found[0]) if found else 0


def _video(path: str, kind: str, odd: Oddities) -> str:
    facts = info(path).facts
    if kind == "videos":
        wrong = [*facts["not_read"], *facts["damage"]]
        odd.notes += [f"{count} of {facts['videos']} videos: {what}" for what, count in facts["videos_with"].items()]
        held = f"{facts['videos']} videos, {facts['hours']:.3g} hours"
    else:
        wrong, odd.notes = facts["damage"], facts["oddities"]
        length = f"{facts['seconds']:.6g} s, " if "seconds" in facts else ""
        held = f"a video, {length}{facts['frames']} frames of {facts['size']}, by its packets"
    if wrong:
        raise DataError(f"{path}: {'; '.join(wrong)}")
    return held


def _features(
    path: str, content: Features, odd: Oddities, truth: GroundTruth | None, known: Mapping[str, float]
) -> str:
    if not content.ids:
        raise DataError(f"{path}: no video in it")
    if not content.of_frames:
        common_channels(content, content.ids, path)
    named = max((last for _, last in (content.streams or {}).values()), default=0)
    shapes: dict[tuple[int, tuple[int, int] | None], str] = {}
    durations: dict[str, float | None] = dict.fromkeys(content.ids)
    for video_id in content.ids:
        _, channels = content.shape(video_id)
        if channels < named:
            raise DataError(f"{path}: video '{video_id}' has {channels} channels, and its streams name {named}")
        shapes.setdefault((channels, content.frame_size(video_id)), video_id)
        try:
            deque(content.blocks(video_id) if content.blocks else [content.values(video_id)], maxlen=0)
        except OSError as error:
            raise DataError(f"{path}: video '{video_id}' cannot be read ({error}); extract it again") from error
        try:
            durations[video_id] = content.clock(video_id).duration
        except UnknownClockError:
            odd.add_video("videos without a clock: give --fps, --stride and --window where they are used", video_id)
    if len(shapes) > 1:
        first, other, *_ = shapes.values()
        raise DataError(f"{path}: video '{other}' is of another kind, size or number of channels than '{first}'")
    odd.notes += [*content.hints, *(f"{note} left out" for note in content.notes)]
    if (found := disagreement(content, content.ids, {**known, **(truth.durations if truth else {})})) is not None:
        odd.notes.append(str(found))
    if truth is not None:
        add_differences(truth, durations, (), odd)
    if known:
        add_other_durations(known, durations, odd)
    return f"{'frame store' if content.of_frames else 'features'}, {len(content.ids)} videos"


def _checkpoint(path: str, odd: Oddities) -> str:
    table = read_tensor_table(path)
    metadata = table.pop("__metadata__", None) or {}
    with Path(path).open("rb") as stream:
        start = 8 + int.from_bytes(stream.read(8), "little")
    end, size = start + max((each["data_offsets"][1] for each in table.values()), default=0), Path(path).stat().st_size
    if size != end:
        raise DataError(f"{path}: {size} bytes, but its header promises {end}; copy or train it again")
    for name, tensor in table.items():
        if not _is_finite(path, start, tensor):
            raise DataError(f"{path}: tensor '{name}' holds values that are not finite; train again with a lower rate")
    if KEY not in metadata:
        odd.notes.append("safetensors, but no checkpoint of taltool train")
        return f"safetensors, {len(table)} tensors"
    header = CheckpointHeader.from_metadata(metadata, path)
    if header.training.get("finished") is False:
        odd.notes.append("the training is not finished; train --resume continues it")
    return f"checkpoint, model {header.model}, {len(table)} tensors"


def _is_finite(path: str, start: int, tensor: dict[str, Any]) -> bool:
    first, last = tensor["data_offsets"]
    if tensor["dtype"] not in _EXPONENTS or first == last:
        return True
    view, exponent = _EXPONENTS[tensor["dtype"]]
    bits = np.memmap(path, view, "r", start + first, ((last - first) // np.dtype(view).itemsize,))
    return not bool(((bits & exponent) == exponent).any())
