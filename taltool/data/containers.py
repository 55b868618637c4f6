"""What a file of pictures is by its first bytes: which container of a video, or which kind of image; and pickles.

So every reader that expects something else can say what it was given, and nothing needs to be opened or decoded.
"""

import re
import shlex
from collections import Counter
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

from taltool.errors import DataError

# What counts as a video inside a folder; a file that is named itself is told by its content.
VIDEO_SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".h264", ".hevc", ".m1v", ".m2ts", ".m2v", ".m4v",
    ".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob",
    ".webm", ".wmv", ".y4m",
})  # fmt: skip

# The suffixes of files of features, one file a video.
_ARRAYS = (".npy", ".npz", ".pt", ".pth", ".mat", ".h5", ".hdf5", ".hdf", ".csv")

# The beginnings that tell a container alone.
_BEGINNINGS = {
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c": "ASF/WMV",
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d": "WTV",
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02": "MXF",
    b"nut/multimedia container\0": "NUT",
    b"YUV4MPEG2 ": "Y4M",
    b"DKIF\0\0": "IVF",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"FLV\x01": "FLV",
    b".RMF\0\0\0": "RealMedia",
    b"BBCD\0\0": "Dirac",
    b"\x1f\x07\x00\x3f": "DV",
    b"\x1f\x07\x00\xbf": "DV",
    b"\x12\x00\x0a": "AV1",
    b"\x00\x00\x01\xba": "MPEG-PS",
    b"\x00\x00\x01\xb3": "MPEG video",
    b"\x00\x00\x01\xb0": "MPEG-4 video",
}
_EBML = b"\x1a\x45\xdf\xa3"
# The first box of an MP4 or QuickTime file: what it is called, after four bytes of length.
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"sidx", b"moof"})
# The brands (first letters of them) of such files that hold no video: sound, and single pictures.
_SOUND_BRANDS = (b"M4A", b"M4B", b"M4P")
_IMAGE_BRANDS = {b"heic": "HEIF", b"heix": "HEIF", b"mif1": "HEIF", b"avif": "AVIF", b"crx ": "CR3"}
# How the streams of pictures begin that an Ogg file may hold beside sound.
_OGG_PICTURES = (b"\x80theora", b"BBCD\0", b"\x01video\0", b"OVP80")
# NAL units that stand first in a bare stream, by their first two bytes: parameter sets, delimiters, messages.
_H264 = re.compile(rb"\x00?\x00\x00\x01(?:[\x27\x47\x67][\x42\x4d\x53\x56\x58\x64\x6e\x7a\xf4]|[\x09\x29][\x10-\xf0])")
_HEVC = re.compile(rb"\x00?\x00\x00\x01[\x40\x42\x46\x4e]\x01")
_VVC = re.compile(rb"\x00?\x00\x00\x01\x00[\x71\x79\xa1]")
_MPEG_4_OBJECT = re.compile(rb"\x00\x00\x01[\x00-\x1f]\x00\x00\x01[\x20-\x2f]")
# Sizes of a packet of a transport stream, and where its first 0x47 stands: plain, of cameras and discs, with checksums.
_TRANSPORT = ((188, 0), (192, 4), (204, 0))
_MOST_PACKETS = 8
_FEWEST_PACKETS = 3
_TEXT = re.compile(rb"[\t\n\r -~]{4}")
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_IMAGES: dict[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
}
# A pickle of the number by which torch knew its own files.
_OLD_TORCH = b"\x80\x02\x8a\n\x6c\xfc\x9c\x46\xf9 \x6a\xa8\x50\x19"

# How a pickle begins: its protocol, and a frame or the beginning of an object; or, from Python 2, text.
_PICKLE = re.compile(
    rb"\x80[\x02-\x05](?:\x95.{8}|[\]}(c\x8a\x8cXU])|\((?:dp|lp)\d+\r?\n|c(?:copy_reg|numpy)", re.DOTALL
)


def container_name(head: bytes) -> str | None:
    """The container of a video (`MP4`, `Matroska`, `AVI`, ...) by the first bytes of a file; None for anything else.

    Some need more bytes than others: about 4,000 tell all but MJPEG, which is told from one JPEG by its second picture.
    """
    for beginning, name in _BEGINNINGS.items():
        if head.startswith(beginning):
            return name
    found = (look(head) for look in _LOOKS)
    return next((name for name in found if name is not None), None)


def image_name(head: bytes) -> str | None:
    """The kind of a single image (`PNG`, `JPEG`, ...) by the first bytes of a file; None for anything else."""
    if container_name(head) is not None:
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        return _IMAGE_BRANDS.get(head[8:12])
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    return next((name for beginning, name in _IMAGES.items() if head.startswith(beginning)), None)


def _mp4(head: bytes) -> str | None:
    # In a text these could be letters too; a length of printable characters alone would be half a gigabyte at least.
    if head[4:8] not in _BOXES or _TEXT.match(head):
        return None
    if head[4:8] != b"ftyp":
        return "fragment of MP4" if head[4:8] in (b"styp", b"sidx", b"moof") else "QuickTime"
    brand = head[8:12]
    if brand.startswith(_SOUND_BRANDS) or brand in _IMAGE_BRANDS:
        return None
    return "QuickTime" if brand == b"qt  " else "3GP" if brand.startswith((b"3gp", b"3g2")) else "MP4"


def _riff(head: bytes) -> str | None:
    return "AVI" if head[:4] == b"RIFF" and head[8:12] == b"AVI " else None


def _matroska(head: bytes) -> str | None:
    if not head.startswith(_EBML):
        return None
    return "WebM" if b"webm" in head[:80] else "Matroska"


def _ogg(head: bytes) -> str | None:
    # The first pages name the streams; without one of pictures it is sound.
    return "Ogg" if head.startswith(b"OggS") and any(mark in head[:4096] for mark in _OGG_PICTURES) else None


def _bare_stream(head: bytes) -> str | None:
    looks = ((_H264, "H.264"), (_HEVC, "HEVC"), (_VVC, "VVC"), (_MPEG_4_OBJECT, "MPEG-4 video"))
    return next((name for pattern, name in looks if pattern.match(head)), None)


def _transport_stream(head: bytes) -> str | None:
    for size, first in _TRANSPORT:
        marks = head[first : _MOST_PACKETS * size : size]
        # Lines of a text may be equally long too, and begin with a G.
        if len(marks) >= _FEWEST_PACKETS and set(marks) == {0x47} and _NOT_IN_TEXT.search(head, 0, size):
            return "MPEG-TS"
    return None


def _motion_jpeg(head: bytes) -> str | None:
    # Cameras put a second picture behind the first too, and say so.
    is_series = head.startswith(b"\xff\xd8\xff") and b"\xff\xd9\xff\xd8\xff" in head and b"MPF\0" not in head
    return "MJPEG" if is_series else None


_LOOKS: tuple[Callable[[bytes], str | None], ...] = (
    _mp4, _riff, _matroska, _ogg, _bare_stream, _transport_stream, _motion_jpeg,
)  # fmt: skip


def refuse_pictures(path: str, head: bytes) -> None:
    """Raise DataError, which says what reads them, where a file that begins so is a video or an image."""
    container, image = container_name(head), image_name(head)
    if container is not None and path == "-":
        raise DataError(
            f"standard input: a video ({container}), which cannot come through a pipe, for it is read twice; save it "
            f"and name the file: {_readers_of('FILE')}"
        )
    if container is not None:
        raise DataError(f"{path}: a video ({container}); {_readers_of(path)}")
    if image is not None:
        raise DataError(
            f"{path}: an image ({image}); a folder of images, one a frame, is a video: `taltool extract FOLDER --fps N "
            "-o FEATURES.h5` makes features of it"
        )


def refuse_folder(path: str) -> None:
    """Raise DataError, which counts its videos and says what reads them, where `path` is a folder."""
    if not Path(path).is_dir():
        return
    count = sum(each.suffix.lower() in VIDEO_SUFFIXES for each in Path(path).rglob("*"))
    if count:
        raise DataError(f"{path}: a folder with {count} video{'s'[: count > 1]}; {_readers_of(path)}")
    raise DataError(f"{path}: {folder_of_features(path) or 'a folder, where a file is expected'}")


def folder_of_features(path: str) -> str:
    """What makes a feature file of a folder of arrays, one file a video, in words; empty where it is no such folder."""
    suffixes = Counter(each.suffix.lower() for each in Path(path).rglob("*"))
    suffix, count = max(((each, suffixes[each]) for each in _ARRAYS), key=itemgetter(1))
    if not count:
        return ""
    said = "--from csv-features " if suffix == ".csv" else ""
    return (
        f"a folder of {count} {suffix}: if these are features, one file a video, `taltool convert {shlex.quote(path)} "
        f"{said}--fps FPS --stride FRAMES --window FRAMES -o FEATURES.h5` makes a feature file of them"
    )


def _readers_of(path: str) -> str:
    """What commands do with a video, in words."""
    video = shlex.quote(path)
    return (
        f"`taltool predict --model MODEL {video}` finds actions in it, `taltool extract {video} -o FEATURES.h5` makes "
        f"features of it, `taltool info {video}` shows its facts"
    )


def is_saved_by_torch(head: bytes) -> bool:
    """Whether a file that begins like this was written by torch.save, as an archive or as versions before 1.6 do."""
    return (head.startswith(b"PK\x03\x04") and b"/data.pkl" in head[:300]) or head.startswith(_OLD_TORCH)


def refuse_pickle(path: str, head: bytes) -> None:
    """Raise DataError where a file that begins so is a pickle, and say how to make something else of it; torch's own
    are none."""
    if _PICKLE.match(head) is None or is_saved_by_torch(head):
        return
    raise DataError(
        f"{path}: a pickle, which is not opened, since that runs whatever code is in it. Whoever trusts it makes JSON: "
        f"python -c \"import json, pickle; json.dump(pickle.load(open({path!r}, 'rb')), open('out.json', 'w'), default="
        "lambda a: a.tolist())\"; of a table (ActionFormer's eval_results.pkl) CSV, with columns video_id, start, end, "
        "label, score: pandas.DataFrame(...).rename(columns={'video-id': 'video_id', 't-start': 'start', 't-end': "
        "'end'}).to_csv('out.csv', index=False)"
    )
