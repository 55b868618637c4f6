"""A label for each frame, as Breakfast, 50 Salads and GTEA are circulated: groundTruth/VIDEO.txt, a line each.

Beside it lie mapping.txt (`0 background`) and splits/*.bundle, lists of the files of a subset. A segment is a run of
one label, from the first frame to the end of the last; runs of background are none. A frame is written with the label
of the segment that covers its middle, the one that began last where several do.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from taltool.data.file_names import create_below, utf8_stem
from taltool.data.files import read_lines, shown
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening
from taltool.data.formats.tables import OtherKeys, Row, RowShelf, new_folder, to_annotations
from taltool.data.records import Integers
from taltool.errors import DataError, UsageError

_FOLDER, _SPLITS = "groundTruth", "splits"
# What is written; others are called mapping_bf.txt, say, and lie among the splits.
_MAPPING, _MAPPINGS = "mapping.txt", "mapping*.txt"
# What the three data sets call it; 50 Salads has two labels for what is before and after the recipe.
_BACKGROUND = ("background", "SIL", "action_start", "action_end")
_SUBSETS = {"train": "training", "val": "validation", "test": "testing"}
# A month at 60 frames a second.
_MOST_FRAMES = 155_520_000
# How far frames and a duration that both are given may be apart: the larger of seconds and share.
_SECONDS_APART, _SHARE_APART = 1.0, 0.01


@FORMATS.register("frame-labels")
class FrameLabels(Format):
    """A folder of texts, a line for each frame."""

    summary = (
        "a folder with a text for each video, a label for each frame, with mapping.txt beside, as Breakfast, 50 "
        "Salads and GTEA have it; needs --fps; --background names the labels that are none; a list of a "
        "split (*.bundle) is read too"
    )
    kinds = ("annotations",)
    heeds = frozenset({"fps", "background"})
    heeds_written = frozenset({"fps", "background"})
    tried_with = "the labels of the 1,460 videos of Breakfast, which come back byte for byte"
    is_folder = True
    # Half a frame, so it depends on the rate: of one frame a second, the lowest that makes sense.
    resolution = 0.5

    def recognises(self, opening: Opening) -> bool:
        """A folder with both groundTruth and mapping.txt."""
        path = Path(opening.path)
        return ".txt" in opening.suffixes and (path / _FOLDER).is_dir() and bool(_mappings(path))

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Annotations]:
        """Read the texts of a folder (of its folder groundTruth, where it has one), or those that a list names."""
        fps, given = _frame_rate(path, options), Path(path)
        files, told = _listed(given) if given.is_file() else (_below(given), None)
        root = given.parent if given.is_file() else given
        mappings = _mappings(root) or _mappings(root.parent)
        known = {label for mapping in mappings for label in _mapped(mapping)} if mappings else None
        notes, durations = _splits_left_out(given), dict[str, float]()
        background = dict.fromkeys(_BACKGROUND if options.background is None else options.background, 0)
        rows = (row for file in files for row in _rows(file, fps, known, background, durations, options))
        with RowShelf(rows) as shelf:
            absent = [label for label, count in background.items() if not count and label not in (known or ())]
            if options.background is not None and absent:
                raise DataError(f"{path}: --background {absent[0]}: no frame is labelled so")
            silent = [f"{count} frames of '{label}'" for label, count in background.items() if count]
            notes += [f"as background {', '.join(silent)}"] if silent else []
            facts = replace(options, durations=durations, subset=options.subset or told)
            yield to_annotations(shelf, facts, "from labels of frames", notes, durations)

    def write(self, content: Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: what overlaps, is shorter than a frame or past the end, touches the same label, and subsets."""
        fps = _frame_rate(path, options)
        background = (options.background or _BACKGROUND)[0]
        lost = _Lost()
        labels: dict[str, None] = {background: None}
        with new_folder(path) as folder:
            for video_id, entry in content.entries:
                numbers, names = _frames(video_id, entry, fps, background, lost, path)
                labels |= dict.fromkeys(names)
                with create_below(folder / _FOLDER, video_id, ".txt", f"{path}: video") as stream:
                    stream.write("".join(f"{names[number]}\n" for number in numbers.tolist()).encode())
            lines = (f"{number} {name}\n" for number, name in enumerate(labels))
            (folder / _MAPPING).write_bytes("".join(lines).encode())
        return lost.phrases()


def _frame_rate(path: str, options: FormatOptions) -> float:
    fps = options.clock.get("fps")
    if fps is None:
        raise UsageError(f"{path}: labels of frames have no times: give --fps (50 Salads 30, Breakfast and GTEA 15)")
    return fps


def _below(folder: Path) -> list[Path]:
    """The texts of a folder, in alphabetical order."""
    inner = folder / _FOLDER if (folder / _FOLDER).is_dir() else folder
    files = sorted(file for file in inner.rglob("*.txt") if not file.match(_MAPPINGS))
    if not files:
        raise DataError(f"{folder}: no *.txt in it; expected a folder with one for each video")
    return files


def _listed(path: Path) -> tuple[list[Path], str | None]:
    """The texts that a list names, and the subset that its own name says; a text of labels itself is the only one."""
    names = [line.strip() for _, line in read_lines(str(path)) if line.strip() and not line.startswith("#")]
    if path.suffix != ".bundle":
        return [path], None
    folders = [path.parent.parent / _FOLDER, path.parent / _FOLDER]
    folder = next((each for each in folders if each.is_dir()), None)
    if folder is None:
        raise DataError(f"{path}: a list of texts, but there is no folder {folders[0]} with them")
    files = [folder / Path(name).name for name in names]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise DataError(f"{path}: {len(missing)} of its {len(files)} files are not there, {missing[0]} the first")
    return files, next((subset for word, subset in _SUBSETS.items() if path.name.startswith(word)), None)


def _mappings(folder: Path) -> list[Path]:
    """The lists of labels of a folder, or else those among its splits."""
    return sorted(folder.glob(_MAPPINGS)) or sorted((folder / _SPLITS).glob(_MAPPINGS))


def _mapped(path: Path) -> set[str]:
    """The labels that mapping.txt lists, `0 background` a line."""
    known = set()
    for number, line in read_lines(str(path)):
        where, name = line.split(" ", 1)[0], line.strip().partition(" ")[2].strip()
        if line.strip() and not (where.isdecimal() and name):
            raise DataError(f"{shown(str(path))}:{number}: expected 'NUMBER LABEL', found '{line[:80]}'")
        known |= {name} if name else set()
    return known


def _splits_left_out(path: Path) -> list[str]:
    lists = sorted(file.name for file in (path / _SPLITS).glob("*.bundle")) if path.is_dir() else []
    if not lists:
        return []
    return [f"the splits {', '.join(lists)} (name two of these lists in place of the folder, for their subsets)"]


def _rows(
    file: Path,
    fps: float,
    known: set[str] | None,
    background: dict[str, int],
    durations: dict[str, float],
    options: FormatOptions,
) -> Iterator[Row]:
    """The runs of a text; its duration is entered, and the frames of background counted."""
    video_id, path, frames = utf8_stem(file, _folder_of_texts(file)), str(file), 0
    for label, run in groupby(read_lines(path), key=lambda line: line[1].strip()):
        first, *others = run
        where, count = f"{shown(path)}:{first[0]}", 1 + len(others)
        if not label:
            raise DataError(f"{where}: an empty line; every frame has a label")
        if known is not None and label not in known:
            raise DataError(f"{where}: label '{label}' is not in mapping.txt, which lists {len(known)}")
        if label in background:
            background[label] += count
        else:
            yield Row(video_id, frames / fps, (frames + count) / fps, label, where=where)
        frames += count
    if not frames:
        raise DataError(f"{shown(path)}: empty; expected a label for each frame")
    duration = options.durations.get(video_id)
    if duration is not None and abs(frames / fps - duration) > max(_SECONDS_APART, _SHARE_APART * duration):
        raise DataError(
            f"{shown(path)}: {frames} frames at --fps {fps:g} last {frames / fps:.2f} s, --durations says "
            f"{duration:g}; one of the two is wrong"
        )
    durations[video_id] = frames / fps if duration is None else duration


def _folder_of_texts(file: Path) -> Path:
    """The folder groundTruth that a text lies below, or its own."""
    return next((each for each in file.parents if each.name == _FOLDER), file.parent)


class _Lost:
    """Counts of what labels of frames do not hold."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._subsets: dict[str, None] = {}
        self._keys = OtherKeys()

    def count(self, what: str, number: int = 1) -> None:
        """Enter so many of something."""
        if number:
            self._counts[what] = self._counts.get(what, 0) + number

    def entry(self, entry: Mapping[str, Any]) -> None:
        """Enter the subset of a video, and its other keys."""
        self._keys.add(entry)
        if entry.get("subset") is not None:
            self._subsets[str(entry["subset"])] = None

    def phrases(self) -> list[str]:
        """All, one phrase each."""
        subsets = [f"the subsets ({', '.join(sorted(self._subsets))})"] if self._subsets else []
        return [f"{number} {what}" for what, number in self._counts.items()] + subsets + self._keys.phrases()


def _frames(
    video_id: str, entry: dict[str, Any], fps: float, background: str, lost: _Lost, path: str
) -> tuple[Integers, list[str]]:
    """The label of each frame (n,), n being duration x fps, as a number into the names, the first being background."""
    if "duration" not in entry:
        raise DataError(f"{path}: video '{video_id}' has no duration, so how many frames is unknown: give --durations")
    count = round(min(entry["duration"] * fps, _MOST_FRAMES + 1))
    if not 0 < count <= _MOST_FRAMES:
        raise DataError(
            f"{path}: video '{video_id}' lasts {entry['duration']:g} s; this format holds 1 to {_MOST_FRAMES:,} frames"
        )
    lost.entry(entry)
    names, owners = [background], np.full(count, -1, np.int64)
    ordered = sorted(entry.get("annotations") or [], key=lambda each: (*each["segment"], each["label"]))
    wanted, numbers = [], []
    for order, each in enumerate(ordered):
        label = _checked(each["label"], background, f"{path}: video '{video_id}'")
        if label not in names:
            names.append(label)
        numbers.append(names.index(label))
        # The frames whose middle the segment covers.
        first, end = (int(np.ceil(min(max(time, 0) * fps, _MOST_FRAMES) - 0.5)) for time in each["segment"])
        owners[first : min(end, count)] = order
        wanted.append((max(first, 0), min(end, count)))
        lost.count("segments that end past their video", int(first < count < end))
    kept = np.bincount(owners[owners >= 0], minlength=len(ordered))
    for (first, end), found in zip(wanted, kept.tolist(), strict=True):
        lost.count("segments shorter than a frame, or past the end", int(end <= first))
        lost.count("segments of which others cover a part or all", int(first < end and found < end - first))
    labelled = np.append(numbers, 0).astype(np.int64)[owners]
    # A border between two segments of one label is not to be seen.
    meet = (owners[1:] != owners[:-1]) & (labelled[1:] == labelled[:-1]) & (labelled[1:] > 0)
    lost.count("borders between segments of one label", int(np.count_nonzero(meet)))
    return labelled, names


def _checked(label: str, background: str, where: str) -> str:
    if label == background:
        raise DataError(f"{where}: label '{label}' is that of the background; name another with --background")
    if not label or label != label.strip() or len(label.splitlines()) > 1 or "\0" in label:
        raise DataError(f"{where}: label {label!r} does not fit into this format: a line without blanks at its ends")
    return label
