"""Lists of video ids: one id per line."""

from taltool.data.files import read_bytes
from taltool.errors import DataError


def read_id_list(path: str) -> tuple[list[str], str]:
    """The ids in a text file, in its order, and its SHA-256; empty lines and lines that begin with # are skipped.

    Raises DataError where the file is not UTF-8 text or lists nothing.
    """
    content, sha256 = read_bytes(path)
    try:
        lines = [line.strip() for line in content.decode().splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file with one video id per line: {error}") from error
    ids = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not ids:
        raise DataError(f"{path}: lists no video id (one per line)")
    return ids, sha256
