"""Writing a figure where the user wants it."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from taltool.data.files import open_output
from taltool.errors import DataError
from taltool.ops.plots import format_of, render


def write_figure(path: str, draw: Callable[[], Any], dpi: int = 150) -> None:
    """Draw and write a figure in the format of `path`'s suffix; `-` is standard output (PNG)."""
    content = render(draw, format_of(path), dpi)
    with open_output(path) as stream:
        stream.write(content)


def short_names(paths: Sequence[str]) -> list[str]:
    """A short name for each file: without suffix, and with as many folders as tell the files apart."""
    parts = [(*Path(path).parts[:-1], _stem(path)) for path in paths]
    depth = 1
    while depth < max(map(len, parts), default=0) and len({each[-depth:] for each in parts}) < len(set(paths)):
        depth += 1
    return ["/".join(each[-depth:]) for each in parts]


def _stem(path: str) -> str:
    return "stdin" if path == "-" else Path(path).name.removesuffix(".gz").rpartition(".")[0] or Path(path).name


def video_addresses(page: str, video_files: Sequence[str], video_ids: Sequence[str]) -> dict[str, str]:
    """Where the page finds the video of each id, relative to its own folder.

    A video file is given as ID=PATH, or as PATH where only one video is shown or where the file is named after the
    id. Raises DataError where it does not exist.
    """
    addresses = {}
    for text in video_files:
        video_id, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            path = text
            video_id = video_ids[0] if len(video_ids) == 1 else Path(text).stem
        if not Path(path).exists():
            raise DataError(f"{path}: no such file (from --video-file)")
        folder = Path.cwd() if page == "-" else Path(page).resolve().parent
        addresses[video_id] = quote(os.path.relpath(Path(path).resolve(), folder))
    return addresses
