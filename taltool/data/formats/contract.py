"""What a file format is: it recognises its files, reads one of three kinds of content, and writes them.

A format registers itself in its file of this folder, or in any file that `convert --from FILE.py` is given:

    @FORMATS.register("csv")
    class Csv(Format):
        summary = "one row per segment"
        kinds = ("proposals", "annotations")
        ...

`read` is a context manager, so that a content may be read lazily while its file is open. `write` returns what the
layout could not hold, in words, for the user to hear.

Of proposals both handle one `VideoProposals` a video: video_id; segments (N, 2) float64, start and end in seconds;
scores (N,) float64; labels (N,) int64, which are numbers, or None for proposals without; names, in which
`names.names[label]` is the text of a number (`names.numbered(texts)` are the numbers of texts); duration in seconds, or
None where nobody said. The N may stand in any order and are kept in it.

A layout of lines is easier read by `.tables`: one `Row(video_id, start, end, label, score, subset, where)` a segment,
in which label is the text, or None (for all proposals of a video or for none), and where is "file:line", for messages.
`to_proposals` and `to_annotations` gather those of a video, wherever they stand.

Reading refuses what is broken with a DataError. All it may leave out, each with a line in `notes`: segments that end
before they start, where the user says `--drop-invalid`, and what taltool has no place for (the other columns of a CSV).

`convert` reads and writes every format, `info` and `check` read those that are found by name. Whoever writes proposals
(`nms`, `label`, `fuse`, ...) writes any format of them, by `output.write_proposals`, which makes a file for each video
where a folder is asked for; but proposals are read in JSON Lines and ActivityNet JSON only: convert first.

The tests ask of every format (tests/data/test_formats.py) that

- it recognises what it wrote, but nothing that another format or none wrote;
- it reads what it wrote: segments to the last bit, or within the `resolution` that it declares (but not those that
  `write` said it loses, as labels of frames do where segments overlap), labels of ground truth, scores and labels of
  proposals unless `write` returned "the scores" or "the labels", values of features in their number type and, with the
  user's help (`FormatOptions`), their clock;
- what it read it writes as it was, byte for byte;
- where writing fails nothing is left behind.

Where a file holds one video (`one_video`) its name without suffix is the id, which the tests ask of each video alone;
`write` refuses several with a UsageError.

A video id or a label may be any text, the empty one too: what the layout cannot tell apart from something else (a label
that is its separator, or empty where empty means none) is refused with a DataError when it is written.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from taltool.data.clock import FeatureClock
from taltool.data.provenance import Chain
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import UsageError

Kind = Literal["proposals", "annotations", "features"]


@dataclass(frozen=True)
class FormatOptions:
    """What the user says because the files do not.

    score: that of proposals without one; clock: any of fps, stride, window, offset, for features; durations: video id
    -> seconds; subset: of annotations without one; classes: label -> number, where a file has only numbers;
    drop_invalid: leave out segments that end before they start; show_scores: write them where people read the labels;
    tiers: of the files of annotation tools, those of several tiers (attributes, observations, ...) that are read;
    tier_labels: labels are the names of the tiers, not the texts in them; media: what an annotation tool is told that
    the video file of an id is called, {} being the id.
    labels: which of the kinds of labels that a file holds (verb, noun, action, sound); background: the labels of frames
    in which nothing happens, the first of which is the one that is written.
    columns: meaning -> name of a table's column, or its number from 1 where the table has no header; raw_times: the
    times are no seconds yet, whatever the columns are called; whoever reads makes seconds of them.
    Of arrays of features: dataset: the parts of their names that are not of videos' ids, several being streams of one
    video; channels_first: they are (C, T); crops: what becomes of those of one picture, `mean`, or None where there are
    none.
    """

    score: float | None = None
    clock: Mapping[str, float] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    subset: str | None = None
    classes: Mapping[str, int] | None = None
    drop_invalid: bool = False
    show_scores: bool = False
    tiers: tuple[str, ...] = ()
    tier_labels: bool = False
    media: str | None = None
    labels: str | None = None
    background: tuple[str, ...] | None = None
    dataset: tuple[str, ...] = ()
    channels_first: bool = False
    crops: Literal["mean"] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    header: bool = True
    raw_times: bool = False


@dataclass
class Proposals:
    """Proposals of many videos, to be iterated once.

    names: the label names that are known before the first video, and whether they are complete; num_videos: how many
    videos there are, if that is known; open_ended: both are to be counted as the videos pass. notes: what reading left
    out, in words; it and provenance are complete after the iteration.
    """

    videos: Iterable[VideoProposals]
    names: LabelVocabulary = field(default_factory=LabelVocabulary)
    num_videos: int | None = None
    provenance: Chain | None = None
    notes: list[str] = field(default_factory=list)
    open_ended: bool = False
    kind: ClassVar[Kind] = "proposals"


@dataclass
class Annotations:
    """Ground truth of many videos in the ActivityNet layout, to be iterated once.

    entries: video id and {duration, subset, annotations: [{segment, label}], ...}, in which duration and subset may be
    absent; head: the other members of the document, with None at the place of the database; notes: what reading left
    out, in words, complete after the iteration.
    """

    entries: Iterable[tuple[str, dict[str, Any]]]
    head: dict[str, Any] = field(default_factory=lambda: {"version": "from taltool", "taxonomy": [], "database": None})
    notes: list[str] = field(default_factory=list)
    kind: ClassVar[Kind] = "annotations"


@dataclass
class Features:
    """Feature sequences of many videos, asked for by video id: shapes (T, C) and clocks without reading values (T, C);
    extras are further attributes of a video. hints are what the user may want to know of them, in words.

    blocks gives all values of a video piece by piece, where a format reads them so.

    frame_size is (H, W) where a video's values are frames, uint8 (T, H, W, C), and None elsewhere. Frames are read when
    they are sliced, see `taltool.data.stored_frames`.
    """

    ids: list[str]
    shape: Callable[[str], tuple[int, int]]
    clock: Callable[[str], FeatureClock]
    values: Callable[[str], Any]
    extras: Callable[[str], Mapping[str, Any]]
    attributes: dict[str, Any] = field(default_factory=dict)
    streams: dict[str, tuple[int, int]] = field(default_factory=dict)
    provenance: Chain | None = None
    notes: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    frame_size: Callable[[str], tuple[int, int] | None] = lambda video_id: None
    blocks: Callable[[str], Iterable[Any]] | None = None
    kind: ClassVar[Kind] = "features"

    @property
    def of_frames(self) -> bool:
        """Whether any of its videos has frames."""
        return any(self.frame_size(video_id) for video_id in self.ids)


Content = Proposals | Annotations | Features


@dataclass(frozen=True)
class Opening:
    """The beginning of a file: its first bytes (gzip undone), or for a folder the suffixes of the files in it."""

    path: str
    head: bytes = b""
    suffixes: frozenset[str] = frozenset()

    def first_line(self) -> str:
        """The first line that is not blank, as far as it was read."""
        text = self.head.decode("utf-8", "replace").lstrip()
        return re.split(r"[\r\n]", text, maxsplit=1)[0]


class Format(ABC):
    """One layout of files (or folders). summary: what it is, for the manual page, a line without a full stop; kinds:
    what it can hold; is_written: whether it can be written too, or is read alone; holds_frames: features may be frames;
    suffixes: file names that ask for it, the first that of new files. is_folder: it is a folder of files; one_video: a
    file holds one video, whose id is the file's name without suffix; gives_way: another format that recognises a file
    of this one is meant, for it knows the file better; resolution: the seconds by which the times that are read may
    differ from those that were written. tried_with: the program, or the published files, with which it was tried, for
    the table of formats in the manual page; heeds, heeds_written: which of the options of `convert` that not all
    formats of its kind need it goes by when it is read, and written (`times`: its times may be frames); requires: the
    module that it needs beside taltool's own dependencies, from the extra of the format's name."""

    summary: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    is_written: ClassVar[bool] = True
    tried_with: ClassVar[str] = ""
    requires: ClassVar[str] = ""
    suffixes: ClassVar[tuple[str, ...]] = ()
    heeds: ClassVar[frozenset[str]] = frozenset()
    heeds_written: ClassVar[frozenset[str]] = frozenset()
    holds_frames: ClassVar[bool] = False
    is_folder: ClassVar[bool] = False
    one_video: ClassVar[bool] = False
    gives_way: ClassVar[bool] = False
    resolution: ClassVar[float] = 0.0

    @abstractmethod
    def recognises(self, opening: Opening) -> bool:
        """Whether a file with this beginning is in this layout; at most one format may say so.

        It raises nothing, whatever the file is: every format is asked about every file.
        """

    @abstractmethod
    def read(self, path: str, options: FormatOptions) -> AbstractContextManager[Content]:
        """Open the content of `path`; raises DataError naming file and line or video."""

    def write(self, content: Any, path: str, options: FormatOptions) -> list[str]:
        """Write `content`, of one of `kinds`, to `path`; return what is lost, one phrase each.

        Where nothing is written (`is_written` is False) there is no need to define it.
        """
        raise NotImplementedError


def several_videos(path: str) -> UsageError:
    """What to raise where several videos should go into one file."""
    return UsageError(
        f"{path}: several videos, and a file of this format is one of them: give -o FOLDER/, which gets a file for "
        "each, and --to FORMAT"
    )
