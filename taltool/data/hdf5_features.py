"""Feature files: HDF5, one (T, C) dataset per video at the root, each with its own clock; see taltool-features(5).

In a frame store, which is such a file, it is (T, H, W, C) uint8: pictures, never read as a whole.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import index
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import orjson
from numpy.typing import NDArray

from taltool.data.clock import CLOCK_ATTRIBUTES, FeatureClock, clock_from, clock_number
from taltool.data.feature_checks import told_by_names
from taltool.data.files import STANDARD, refuse_foreign, remove_leftovers, replacing
from taltool.data.hdf5_files import Disk, contents, open_hdf5, open_linked, plain, refuse_hollow
from taltool.data.provenance import Chain, checked_extraction
from taltool.data.stored_frames import Frames, pieces
from taltool.errors import DataError, UsageError

FORMAT = "taltool-features"
VERSION = 1
# Attributes of the file that the writer enters itself; further ones (backbone, settings, ...) are the caller's.
ROOT_ATTRIBUTES = ("format", "version", "streams", "provenance")
# The last attribute of every video beside its clock, when the video is whole.
COMPLETE = "complete"
# What extraction adds to a video: the frames that it has, what it is made of, what of that could not be decoded, and
# what was mended of its clock and its pictures.
EXTRACTION_ATTRIBUTES = ("num_frames", "source", "problem", "mended")
# Numbers of a video that are read at once where nobody needs them together.
_BLOCK = 1 << 22
# Axes of a dataset that holds frames.
_FRAMES_AXES = 4


@dataclass(frozen=True)
class ClockOptions:
    """What the user says about the clock of a foreign file; it wins over the file's own attributes."""

    fps: float | None = None
    stride: float | None = None
    window: float | None = None
    offset: float | None = None

    def given(self) -> dict[str, float]:
        """Only what was said."""
        return {name: value for name, value in vars(self).items() if value is not None}


class FeatureFile:
    """Reads a feature file; used as a `with` block.

    clock_options complete or replace the clock attributes of a foreign file, durations (video id -> seconds, from a
    ground truth) stand in for a missing duration; with durations alone features are taken to divide each video evenly.
    Raises DataError for what is not such a file (a video says what reads it), for datasets that are not whole, and
    where the file leads out of its folder: by links, external storage or virtual datasets.
    """

    def __init__(
        self, path: str, clock_options: ClockOptions | None = None, durations: Mapping[str, float] | None = None
    ) -> None:
        self.path, self.clock_options, self.durations = path, clock_options or ClockOptions(), durations or {}
        # Attributes of HDF5 are slow to read, and every step of a training's beginning asks for all clocks.
        self._clocks: dict[str, FeatureClock] = {}

    def __enter__(self) -> Self:
        if self.path == STANDARD or Path(self.path).is_fifo():
            raise UsageError("features are HDF5, which cannot come through a pipe: name a file")
        try:
            self._file = open_hdf5(self.path)
        except OSError as error:
            refuse_foreign(self.path)
            reason = "no such file" if not Path(self.path).exists() else f"not a readable HDF5 file ({error})"
            raise DataError(f"{self.path}: {reason}") from error
        with contextlib.ExitStack() as opened:
            opened.enter_context(self._file)
            found = dict(contents(self._file.id, self.path))
            # While the files that links lead to are open, following the links is quick.
            open_linked(self._file, self.path, found, opened, [])
            if any(found.values()):
                found = dict(contents(self._file.id, self.path, follow=True))
            self.ids = sorted(found)
            self._close = opened.pop_all()
        self._sound: set[str] = set()
        # Whether taltool wrote this file: then every dataset says when it is complete.
        self._is_own = str(self._attribute("format")) == FORMAT
        version = self._attribute("version")
        if self._is_own and str(version) != str(VERSION):
            raise DataError(f"{self.path}: features of version {version}; this taltool knows version {VERSION}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close.__exit__(kind, error, trace)

    @property
    def attributes(self) -> dict[str, Any]:
        """The root attributes."""
        return self.attributes_of("/")

    @property
    def provenance(self) -> Chain:
        """The chain of steps that made the file; empty for a foreign file."""
        chain = self._json("provenance", [])
        if not isinstance(chain, list):
            raise DataError(f"{self.path}: its provenance is no list of steps; extract again, or remove the attribute")
        return chain

    @property
    def extraction(self) -> dict[str, Any]:
        """How the features were made (`ExtractionSettings.record`); empty where nobody said, as in a foreign file."""
        return checked_extraction(self._json("settings", {}) if self._is_own else {}, self.path)

    @property
    def streams(self) -> dict[str, tuple[int, int]]:
        """Channel range [first, last) of each stream by name; empty where the file does not say."""
        found = self._json("streams", {})
        try:
            ranges = {name: (index(first), index(last)) for name, (first, last) in found.items()}
        except (AttributeError, TypeError, ValueError):
            ranges = {"": (0, 0)}
        if not all(0 <= first < last for first, last in ranges.values()):
            raise DataError(
                f"{self.path}: its streams are {found!r}; expected {{NAME: [first channel, one past the last], ...}}"
            )
        return ranges

    def _json(self, name: str, absent: Any) -> Any:
        """What the root attribute `name` says in JSON."""
        text = self._attribute(name)
        try:
            return absent if isinstance(text, str | None) and not text else orjson.loads(text)
        except (orjson.JSONDecodeError, TypeError) as error:
            raise DataError(f"{self.path}: its attribute '{name}' is not JSON ({error})") from error

    def _attribute(self, name: str, video_id: str = "/") -> Any:
        """One attribute of a dataset, or of the file, as a Python value or an array; None where there is none."""
        attributes = self._file[video_id].attrs
        try:
            return plain(attributes[name]) if name in attributes else None
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            where = self.path if video_id == "/" else self.where(video_id)
            raise DataError(f"{where}: its attribute '{name}' cannot be read ({error})") from error

    def video_attributes(self, video_id: str) -> dict[str, Any]:
        """The attributes of one dataset."""
        self.check(video_id)
        return self.attributes_of(video_id)

    def shape(self, video_id: str) -> tuple[int, int]:
        """(T, C) of one video, without reading it."""
        length, *_, channels = self._dataset(video_id).shape
        return length, channels

    def frame_size(self, video_id: str) -> tuple[int, int] | None:
        """(H, W) of the frames of one video; None where it holds features."""
        shape = self._dataset(video_id).shape
        return (shape[1], shape[2]) if len(shape) == _FRAMES_AXES else None

    def frames(self, video_id: str) -> Frames:
        """The frames of one video, which are read when they are sliced; only while the file is open."""
        frames: Frames = self._dataset(video_id)
        return frames

    def dtype(self, video_id: str) -> np.dtype[Any]:
        """The number type that one video is stored in."""
        return np.dtype(self._dataset(video_id).dtype)

    def clock(self, video_id: str) -> FeatureClock:
        """The clock of one video; raises DataError, with the mend, where nobody knows it."""
        if video_id not in self._clocks:
            self._clocks[video_id] = self._read_clock(video_id)
        return self._clocks[video_id]

    def _read_clock(self, video_id: str) -> FeatureClock:
        dataset, where = self._dataset(video_id), self.where(video_id)
        found = ((name, self._attribute(name, video_id)) for name in CLOCK_ATTRIBUTES)
        known = {name: clock_number(value, name, where) for name, value in found if value is not None}
        known |= self.clock_options.given()
        duration = known.get("duration", self.durations.get(video_id))
        return clock_from(known, dataset.shape[0], duration, where)

    def read(
        self, video_id: str, first: int = 0, last: int | None = None, channels: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """Snippets [first, last) of one video, float32 (n, C), or frames, uint8 (n, H, W, C); `channels` picks some.

        Raises DataError, naming video and snippet, for values that are not finite.
        """
        try:
            values: NDArray[Any] = self._dataset(video_id)[first:last]
        except OSError as error:
            raise DataError(f"{self.where(video_id)} cannot be read ({error}); copy or extract it again") from error
        if channels is not None:
            if channels.max() >= values.shape[-1]:
                raise DataError(
                    f"{self.where(video_id)} has {values.shape[-1]} channels, fewer than its file's streams name"
                )
            values = values[..., channels]
        if values.ndim == _FRAMES_AXES:
            return values
        values = np.asarray(values, np.float32)
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise DataError(
                f"{self.where(video_id)}: snippet {first + row}, channel {column} is {values[row, column]}; "
                "extract this video again"
            )
        return values

    def blocks(self, video_id: str) -> Iterator[NDArray[Any]]:
        """All that `read` gives of one video, in order, some megabytes at a time: to look at, not to hold."""
        length, *others = self._dataset(video_id).shape
        step = max(_BLOCK // math.prod(others), 1)
        for first in range(0, length, step):
            yield self.read(video_id, first, first + step)

    def where(self, video_id: str) -> str:
        """One video, for messages."""
        return f"{self.path}: video '{video_id}'"

    def check(self, video_id: str) -> None:
        """Raise DataError unless the video's dataset is whole, of features or of frames, and not empty."""
        self._dataset(video_id)

    @property
    def is_foreign(self) -> bool:
        """Whether another program than taltool wrote this file."""
        return not self._is_own

    def hints(self) -> list[str]:
        """`told_by_names` of the arrays in the file of another program, of which some may be no videos'."""
        names = [] if self._is_own else [name for name in self.ids if self._file[name].ndim >= 2]
        return told_by_names(names, self.path)

    def as_stored(self, name: str) -> h5py.Dataset:
        """A dataset whatever it holds, by its path; only while the file is open."""
        try:
            dataset = self._file[name]
        except (KeyError, OSError, RuntimeError) as error:
            raise DataError(f"{self.where(name)} is broken ({error}); copy or extract it again") from error
        refuse_hollow(dataset, self.where(name))
        return dataset

    def attributes_of(self, name: str) -> dict[str, Any]:
        """The attributes of a dataset, whatever it holds."""
        try:
            names = list(self._file[name].attrs)
        except (KeyError, OSError, RuntimeError) as error:
            raise DataError(f"{self.where(name)}: its attributes are broken ({error}); extract it again") from error
        return {each: self._attribute(each, name) for each in names}

    def _dataset(self, video_id: str) -> h5py.Dataset:
        node = self._file.get(video_id) if video_id else None
        if video_id in self._sound:
            return node
        where = self.where(video_id)
        if not isinstance(node, h5py.Dataset):
            raise DataError(f"{self.path} has no video '{video_id}' ({len(self.ids)} others)")
        is_frames = node.ndim == _FRAMES_AXES and node.dtype == np.uint8
        if not (is_frames or (node.ndim == 2 and node.dtype.kind in "fiu")):
            raise DataError(
                f"{where}: expected numbers of shape (T, C), or uint8 of shape (T, H, W, C) for frames, found "
                f"{node.dtype} {node.shape}{''.join(f'; {hint}' for hint in self.hints())}"
            )
        if 0 in node.shape:
            raise DataError(f"{where} has no snippets: shape {node.shape}; extract it again")
        if self._is_own and self._attribute(COMPLETE, video_id) is not True:
            raise DataError(f"{where} is not complete: run the extraction again, it continues where it stopped")
        refuse_hollow(node, where)
        self._sound.add(video_id)
        return node


def unlike(settings: str, others: str) -> str:
    """In what two records of settings (JSON) differ: `stride 4 instead of 8, ...`; both whole where they are none."""
    try:
        ours, theirs = orjson.loads(settings), orjson.loads(others)
    except orjson.JSONDecodeError:
        ours, theirs = settings, others
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return f"{settings} instead of {others}"
    names = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    return ", ".join(f"{name} {ours.get(name)} instead of {theirs.get(name)}" for name in names)


@dataclass(frozen=True)
class VideoFeatures:
    """The features (T, C), or frames (T, H, W, C), of one video, ready to be written, with its clock and further
    attributes."""

    video_id: str
    values: NDArray[Any] | Frames
    clock: FeatureClock
    attributes: Mapping[str, Any]


class FeatureWriter:
    """Writes a feature file beside `path` and renames it when the `with` block ends well.

    attributes are root attributes (backbone, ...), streams the channel range of each stream.
    """

    def __init__(
        self,
        path: str,
        attributes: Mapping[str, Any] | None = None,
        streams: Mapping[str, tuple[int, int]] | None = None,
        provenance: Chain | None = None,
    ) -> None:
        self.path, self.attributes = path, dict(attributes or {})
        self.streams, self.provenance = streams, provenance
        self._close = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self.path == STANDARD:
            raise UsageError("features are HDF5, which cannot go through a pipe: give -o FILE.h5")
        remove_leftovers(self.path)
        temporary = self._close.enter_context(replacing(self.path))
        self._disk = self._close.enter_context(Disk(temporary, "w+"))
        self._file = self._close.enter_context(h5py.File(self._disk, "w"))
        self._file.attrs.update({"format": FORMAT, "version": VERSION, **self.attributes})
        if self.streams is not None:
            self._file.attrs["streams"] = orjson.dumps(self.streams).decode()
        if self.provenance is not None:
            self._file.attrs["provenance"] = orjson.dumps(self.provenance).decode()
        return self

    def write(self, video: VideoFeatures) -> None:
        """Append one video; raises DataError for an id that HDF5 cannot hold, or one that is there already."""
        self._refuse_name(video.video_id)
        # Frames are laid one after the other, neither chunked nor compressed: LZF takes off a fifth, and reading a clip
        # then takes 20 times as long; from chunks every third frame takes 100 times as long.
        is_frames = len(video.values.shape) == _FRAMES_AXES
        layout = {"shape": video.values.shape, "dtype": np.uint8} if is_frames else {"data": video.values}
        try:
            dataset = self._file.create_dataset(video.video_id, **layout)
        except (TypeError, ValueError) as error:
            raise DataError(f"video '{video.video_id}' cannot be beside a video named like its folder") from error
        if is_frames:
            first = 0
            for piece in pieces(video.values):
                dataset[first : first + len(piece)] = piece
                first += len(piece)
        dataset.attrs.update({name: getattr(video.clock, name) for name in CLOCK_ATTRIBUTES})
        dataset.attrs.update(video.attributes)
        dataset.attrs[COMPLETE] = True
        self._refuse_failure()

    def link(self, video_id: str, path: str) -> None:
        """Refer to a video in the feature file at `path`, which must stay where it is, seen from this one.

        Raises UsageError where that file is not in the folder of this one, or below: nobody follows links out of it.
        """
        self._refuse_name(video_id)
        target, folder = Path(path).resolve(), Path(self.path).resolve().parent
        if not target.is_relative_to(folder):
            raise UsageError(f"{path} is not in {folder} or below, where links from {self.path} can lead to it")
        try:
            self._file[video_id] = h5py.ExternalLink(str(target.relative_to(folder)), video_id)
        except (TypeError, ValueError) as error:
            raise DataError(f"video '{video_id}' cannot be beside a video named like its folder") from error

    def _refuse_name(self, video_id: str) -> None:
        if "\0" in video_id or any(part in ("", ".", "..") for part in video_id.split("/")):
            raise DataError(f"video id {video_id!r} cannot name an HDF5 dataset; rename the video")
        if self._file.get(video_id, getlink=True) is not None:
            raise DataError(f"video '{video_id}' is there twice; video ids must differ")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()  # So HDF5 writes what it still holds.
        if error is None:
            try:
                self._refuse_failure()
            except OSError as failure:
                self._close.__exit__(OSError, failure, failure.__traceback__)
                raise
        self._close.__exit__(kind, error, trace)

    def _refuse_failure(self) -> None:
        if (failure := self._disk.failure) is not None:
            raise OSError(failure.errno, failure.strerror, self.path)
