"""Writing what the user names: `-o` and `--to` say which format, and whether it is one file or one file a video."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from taltool.data.file_names import path_below
from taltool.data.files import STANDARD, is_special, refuse_unwritable
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Kind, Proposals, several_videos
from taltool.data.formats.sniffing import format_named, usable_formats
from taltool.data.records import VideoProposals
from taltool.errors import DataError, UsageError
from taltool.reporting import SILENT, Reporter

_DEFAULTS: dict[Kind, str] = {"proposals": "jsonl", "annotations": "activitynet", "features": "hdf5"}
# Asked before all others, since to import every format takes as long as many a command.
_USUAL = ("jsonl", "activitynet")
# More events than that in a file that people open are no help to anybody.
_MANY_EVENTS = 500


def write_proposals(
    content: Proposals | Annotations,
    output: str,
    to: str | None = None,
    options: FormatOptions = FormatOptions(),
    *,
    expected: int = 1,
    reporter: Reporter = SILENT,
) -> list[str]:
    """Write proposals, or annotations, to `output` as they come; return, and tell, what the format does not hold.

    to: the name of a format (or a Python file that registers one); None: the suffix of `output` tells, see
    `for_output`. Where `output` ends with `/`, or is a folder, each video gets a file in it, ID.SUFFIX; a file that is
    there already is replaced. Every file appears only when it is whole. expected: how many videos are to come, if that
    is known, so that too many are refused before any work.

    Raises UsageError where no format is named, or one that does not hold this, and for several videos in one file of a
    format that holds one; DataError for what the format cannot hold (a name that it cannot tell from something else,
    say) and for ids that cannot be the names of files.
    """
    name = FORMATS.canonical(to) if to else for_output(output, content.kind)
    layout = able_to_write(name, content.kind)
    if layout.one_video and expected > 1 and not _asks_for_folder(output):
        raise several_videos(output)
    if layout.one_video and isinstance(content, Proposals):
        content.videos = _warning_of_many(content.videos, name, reporter)
    if _asks_for_folder(output) and not layout.is_folder:
        lost = _write_folder(content, output, layout, options)
    else:
        if not layout.is_folder:  # Some formats open their file when all is there.
            refuse_unwritable(output)
        lost = layout.write(content, output, options)
    if lost:
        # Who asks for subtitles knows that they are not for measuring.
        tell = reporter.note if layout.one_video else reporter.warn
        tell(f"{output}: the format {name} does not hold {'; '.join(lost)}")
    return lost


def able_to_write(name: str, kind: Kind) -> Format:
    """The format of that name; raises UsageError where it does not hold this kind, or is read alone."""
    layout = format_named(name)
    if not layout.is_written:
        raise UsageError(f"--to {name}: this format is read, not written; one of {', '.join(_writing(kind))} is")
    if kind not in layout.kinds:
        raise UsageError(f"--to {name}: it holds {' and '.join(layout.kinds)}, not {kind}")
    return layout


def _writing(kind: Kind) -> dict[str, Format]:
    """The formats by name that a kind can be written in."""
    return {name: each for name, each in usable_formats()[0].items() if each.is_written and kind in each.kinds}


def for_output(path: str, kind: Kind) -> str:
    """The name of the format that the output `path` asks for by its suffix.

    Without a suffix, and for standard output, a pipe or a device of another, it is the usual one of the kind (but
    features go to a folder of arrays, if so). Raises UsageError, naming the suffixes, for another, and for a folder.
    """
    default = _DEFAULTS[kind]
    suffix = Path(path).suffix.lower()
    is_folder = _asks_for_folder(path)
    if path == STANDARD or (not suffix and not is_folder and kind != "features"):
        return default
    for usual in _USUAL:
        layout = format_named(usual)
        if kind in layout.kinds and suffix in layout.suffixes:
            return usual
    able, broken = _writing(kind), usable_formats()[1]
    fitting = [name for name, layout in able.items() if suffix in layout.suffixes]
    if len(fitting) == 1:
        return fitting[0]
    if is_special(Path(path)) and not is_folder:
        return default
    known = ", ".join(sorted({each for layout in able.values() for each in layout.suffixes if each}))
    why = "a folder, one file a video" if is_folder else f"{suffix or 'no suffix'} is none of {known}"
    raise UsageError(f"-o {path}: {why}: the name does not say in which format; give --to {'|'.join(able)}{broken}")


def _asks_for_folder(output: str) -> bool:
    return output.endswith("/") or (output != STANDARD and Path(output).is_dir())


def _write_folder(content: Proposals | Annotations, folder: str, layout: Format, options: FormatOptions) -> list[str]:
    """Write each video to a file of its own, ID.SUFFIX; return what all lost together."""
    try:
        Path(folder).mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot write there: {error.strerror or error}") from error
    suffix = next(iter(layout.suffixes), "")
    counts: dict[str, int] = {}
    written: set[tuple[int, int]] = set()
    for video_id, single in _singly(content):
        path = path_below(Path(folder), video_id, suffix, f"{folder}: video")
        # Names that differ may be one file, as `A` and `a` are to some file systems.
        if path.exists() and _identity(path) in written:
            raise DataError(f"{folder}: video '{video_id}': another video has this file; rename one of the two")
        for phrase in layout.write(single, str(path), options):
            number, _, what = phrase.partition(" ")
            if number.isdecimal():
                counts[what] = counts.get(what, 0) + int(number)
            else:
                counts.setdefault(phrase, 0)
        written.add(_identity(path))
    return [f"{count} {what}" if count else what for what, count in counts.items()]


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _singly(content: Proposals | Annotations) -> Iterator[tuple[str, Proposals | Annotations]]:
    """Each video, by its id, as a content of its own."""
    if isinstance(content, Proposals):
        for video in content.videos:
            yield video.video_id, replace(content, videos=[video], num_videos=1)
    else:
        for entry in content.entries:
            yield entry[0], replace(content, entries=[entry])


def _warning_of_many(videos: Iterable[VideoProposals], name: str, reporter: Reporter) -> Iterator[VideoProposals]:
    """The videos; says once, before it is written, that one has more events than anybody would watch."""
    quiet = False
    for video in videos:
        if len(video) > _MANY_EVENTS and not quiet:
            reporter.warn(
                f"video '{video.video_id}': {len(video):,} events in one {name} file; suppress them with taltool nms, "
                "or keep the best of each video with --top-k"
            )
            quiet = True
        yield video
