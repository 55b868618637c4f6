"""Features in the arrays of others, whatever their shapes and names: of each video one sequence (T, C).

What is not said is not guessed: axes of length 1 are left out, but which of two axes is time, and whether a third holds
crops, the user says. An array has the name of its place (`v_1`, `v_1/c3d`, `rgb/v_1`); `--dataset` names what of that
is no part of the video's id, and where it names several, they are streams of one video.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taltool.data.clock import CLOCK_ATTRIBUTES, FeatureClock, clock_from, clock_number
from taltool.data.feature_checks import told_by_names
from taltool.data.file_names import utf8_stem
from taltool.data.formats.contract import Features, FormatOptions, Opening
from taltool.errors import DataError, UsageError

# So many crops of a picture are common: its corners and its centre, and those of its mirror image.
_CROPS = (5, 10)
# The axes of an array with crops.
_WITH_CROPS = 3
_SEPARATORS = "_-."


@dataclass(frozen=True)
class Source:
    """Where an array is: in words for messages; opened, it has a shape and a dtype, and NumPy can read it.

    attributes: what is said of it.
    """

    where: str
    open: Callable[[], Any]
    attributes: Callable[[], Mapping[str, Any]] = dict


def keyed(keys: Sequence[str], options: FormatOptions, where: str) -> list[str]:
    """What to add to the name of a file that holds the arrays `keys`, one string for each array that may be wanted.

    Raises DataError where there are several, and the user names none.
    """
    if options.dataset:
        return [f"/{key}" for key in keys]
    if len(keys) != 1:
        raise DataError(
            f"{where}: holds {len(keys)} arrays ({', '.join(keys[:8])}); --dataset NAME takes one of them, "
            "--dataset NAME,NAME several as streams of one video"
        )
    return [""]


class ArrayVideos:
    """The videos that arrays hold, by the arrays' names; raises DataError where streams are missing, or ids clash.

    notes: what is left out beside them, in words, which may become more while they are read.
    """

    def __init__(
        self, sources: Mapping[str, Source], options: FormatOptions, path: str, notes: list[str] | None = None
    ) -> None:
        if len(set(options.dataset)) < len(options.dataset):
            raise UsageError(f"--dataset {','.join(options.dataset)}: a stream is named twice")
        self._options, self._path = options, path
        self._streams = tuple(options.dataset) or ("",)
        self._videos: dict[str, dict[str, Source]] = {}
        others = []
        for name, source in sources.items():
            found = _split(name, options.dataset)
            if found is None:
                others.append(name)
                continue
            video_id, stream = found
            parts = self._videos.setdefault(video_id, {})
            if stream in parts:
                raise DataError(
                    f"{source.where} and {parts[stream].where} would both be video '{video_id}'; rename one"
                )
            parts[stream] = source
        if not self._videos:
            there = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
            raise DataError(f"{path}: no array is named {' or '.join(options.dataset)}; there are: {there or 'none'}")
        for video_id, parts in self._videos.items():
            if missing := [name for name in self._streams if name not in parts]:
                raise DataError(f"{path}: video '{video_id}' has {', '.join(parts)}, but no {missing[0]}")
        self._notes = [] if notes is None else notes
        if others:
            self._notes.append(f"{len(others)} arrays that --dataset does not name (the first: {others[0]})")
        self._shapes: dict[str, tuple[int, int]] = {}
        self._shortened = 0

    def features(self, attributes: Mapping[str, Any] | None = None) -> Features:
        """All as one content; attributes are those of the file."""
        ids = sorted(self._videos)
        return Features(
            ids=ids,
            shape=self.shape,
            clock=self.clock,
            values=self.values,
            extras=self.extras,
            attributes=dict(attributes or {}),
            streams=self._ranges(),
            notes=self._notes,
            hints=[] if self._options.dataset else told_by_names(ids, self._path),
        )

    def _ranges(self) -> dict[str, tuple[int, int]]:
        """The channels [first, last) of each stream, by the first video; none where there is but one."""
        if len(self._streams) == 1:
            return {}
        widths = [_outline(source, self._options)[1] for source in self._parts(min(self._videos))]
        ends = list(accumulate(widths, initial=0))
        return dict(zip(self._streams, pairwise(ends), strict=True))

    def _parts(self, video_id: str) -> list[Source]:
        """The arrays of a video, in the order of the streams."""
        return [self._videos[video_id][name] for name in self._streams]

    def shape(self, video_id: str) -> tuple[int, int]:
        """(T, C) of a video; raises DataError where its arrays are no such thing, or of different lengths."""
        if video_id not in self._shapes:
            parts = self._parts(video_id)
            outlines = [_outline(source, self._options) for source in parts]
            lengths = [length for length, _ in outlines]
            if max(lengths) - min(lengths) > 1:
                told = ", ".join(f"{length} in {part.where}" for length, part in zip(lengths, parts, strict=True))
                raise DataError(f"{self._path}: the streams of video '{video_id}' differ in their snippets: {told}")
            if max(lengths) > min(lengths):
                self._note_shortened()
            self._shapes[video_id] = min(lengths), sum(channels for _, channels in outlines)
        return self._shapes[video_id]

    def _note_shortened(self) -> None:
        """Note that a stream loses its last snippet, which another lacks: flow ends one frame earlier than pictures."""
        told = "the last snippet, which one of their streams lacks, of {} videos"
        if self._shortened:
            self._notes.remove(told.format(self._shortened))
        self._shortened += 1
        self._notes.append(told.format(self._shortened))

    def clock(self, video_id: str) -> FeatureClock:
        """The clock of a video, from what is said of its array and by the user."""
        first, *_ = self._parts(video_id)
        said = first.attributes()
        known = {name: clock_number(said[name], name, first.where) for name in CLOCK_ATTRIBUTES if name in said}
        known |= self._options.clock
        duration = known.get("duration", self._options.durations.get(video_id))
        return clock_from(known, self.shape(video_id)[0], duration, first.where)

    def values(self, video_id: str) -> NDArray[np.floating[Any]]:
        """(T, C), float16 where all streams are, else float32; raises DataError for what is not finite."""
        length, _ = self.shape(video_id)
        parts = [_read(source, self._options)[:length] for source in self._parts(video_id)]
        for source, values in zip(self._parts(video_id), parts, strict=True):
            if not np.isfinite(values).all():
                row, column = np.argwhere(~np.isfinite(values))[0]
                raise DataError(
                    f"{source.where}: snippet {row}, channel {column} is {values[row, column]}; extract it again"
                )
        return np.concatenate(parts, axis=1)

    def extras(self, video_id: str) -> dict[str, Any]:
        """What else is said of a video's first array, and the name of its file."""
        first, *_ = self._parts(video_id)
        said = {name: value for name, value in first.attributes().items() if name not in CLOCK_ATTRIBUTES}
        return {"source": PurePath(first.where).name} | said


def _outline(source: Source, options: FormatOptions) -> tuple[int, int]:
    """(T, C) of an array."""
    array = source.open()
    _, time, channels = _axes(array, source.where, options)
    return array.shape[time], array.shape[channels]


def _read(source: Source, options: FormatOptions) -> NDArray[np.floating[Any]]:
    """An array as (T, C)."""
    array = source.open()
    crops, time, channels = _axes(array, source.where, options)
    try:
        values = np.array(array)
    except OSError as error:
        raise DataError(f"{source.where} cannot be read ({error}); copy or extract it again") from error
    if values.dtype not in (np.float16, np.float32):
        with np.errstate(over="ignore"):  # What float32 does not hold is told as not finite.
            values = values.astype(np.float32)
    if crops is not None:
        values = values.mean(axis=crops, keepdims=True, dtype=np.float32).astype(values.dtype)
    values = np.moveaxis(values, (time, channels), (-2, -1))
    return values.reshape(values.shape[-2:])


def _axes(array: Any, where: str, options: FormatOptions) -> tuple[int | None, int, int]:
    """Which axes of an array hold crops (None: none does), snippets and channels."""
    shape, dtype = tuple(array.shape), array.dtype
    axes, crops, mend = _long_axes(shape, options.channels_first), None, ""
    if options.crops is not None and len(shape) == _WITH_CROPS:
        axes = [0, 1, 2]  # One snippet, or one channel, is no axis to leave out where the third holds crops.
    if len(axes) == _WITH_CROPS and 0 not in shape:
        may_be = [axis for axis in axes[:2] if shape[axis] in _CROPS]
        if options.crops is None and may_be:
            mend = f"; are these {shape[may_be[0]]} crops? --crops mean averages them"
        elif len(may_be) > 1:
            raise DataError(f"{where}: cannot tell which axis of {shape} holds the crops; give it averaged")
        elif options.crops is not None and may_be:
            crops = may_be[0]
            axes.remove(crops)
    if len(axes) != 2 or dtype.kind not in "fiu" or 0 in shape:
        raise DataError(f"{where}: expected numbers of shape (T, C), found {dtype} {shape}{mend}")
    time, channels = reversed(axes) if options.channels_first else axes
    if len(shape) > 2 and options.crops is None and shape[channels] == 1 < shape[time]:
        other = "without" if options.channels_first else "with"
        raise DataError(
            f"{where}: {shape} is {shape[time]} snippets of one channel; {other} --channels-first it is one snippet of "
            f"{shape[time]} channels. If the first is meant, save it as ({shape[time]}, 1)"
        )
    return crops, time, channels


def files_below(path: str, *suffixes: str) -> tuple[dict[str, Path], list[str]]:
    """The files of a folder, to its depth, with one of these suffixes, by their paths in it without suffix; and a note
    of its other files, hidden ones among them, as macOS puts `._v_1.npy` beside v_1.npy.

    Raises DataError where there is none, and where two would have one name.
    """
    found: dict[str, Path] = {}
    others: list[Path] = []
    for file in sorted(each for each in Path(path).rglob("*") if each.is_file()):
        if file.suffix.lower() not in suffixes or is_hidden(file.relative_to(path)):
            others.append(file)
            continue
        name = utf8_stem(file, Path(path))
        if name in found:
            raise DataError(f"{found[name]} and {file} would be one video; rename one of them")
        found[name] = file
    wanted = f"*{' or *'.join(suffixes)}"
    if not found:
        raise DataError(f"{path}: no {wanted} in it")
    note = f"{len(others)} files that are hidden or no {wanted} (the first: {others[0]})" if others else ""
    return found, [note] * bool(note)


def is_hidden(path: PurePath) -> bool:
    """Whether the file, or a folder around it, has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def is_folder_of(opening: Opening, *suffixes: str) -> bool:
    """Whether this is a folder with files of these suffixes, and of no others."""
    return bool(opening.suffixes & {*suffixes}) and opening.suffixes <= {"", *suffixes}


def _long_axes(shape: tuple[int, ...], channels_first: bool) -> list[int]:
    """The axes of an array that are longer than 1; of two axes both, and of more at least two."""
    if len(shape) == 2:
        return [0, 1]
    axes = [axis for axis, length in enumerate(shape) if length != 1]
    if len(shape) > 2 and len(axes) < 2:
        # A single snippet, whose channels stand behind it, (1, 1, C) or (1, C, 1, 1), or before it, (1, C, 1).
        last = axes[0] if axes else len(shape) - 1
        last = min(last + 1, len(shape) - 1) if channels_first else max(last, 1)
        return [last - 1, last]
    return axes


def _split(name: str, datasets: Sequence[str]) -> tuple[str, str] | None:
    """The video's id and the stream in the name of an array; None where it has none of the datasets in it."""
    if not datasets:
        return name, ""
    folders = name.split("/")
    # The longest first: `_rgb_flow` is not `_flow`.
    for dataset in sorted(datasets, key=len, reverse=True):
        if (inside := _without(folders, dataset.split("/"))) is not None:
            return inside, dataset
    for dataset in sorted(datasets, key=len, reverse=True):
        for separator in _SEPARATORS:
            video_id = name.removesuffix(separator + dataset)
            if video_id not in (name, "") and not video_id.endswith("/"):
                return video_id, dataset
    return None


def _without(folders: Sequence[str], dataset: Sequence[str]) -> str | None:
    """A path without the parts that are a dataset's, which are neighbours in it; None where they are not."""
    size = len(dataset)
    for first in range(len(folders) - size, -1, -1):
        if list(folders[first : first + size]) == list(dataset) and len(folders) > size:
            return "/".join([*folders[:first], *folders[first + size :]])
    return None
