"""Pickles: they are known by how they begin, and never opened, for that runs whatever code is in them."""

import re

from taltool.errors import DataError

# A pickle of the number by which torch knew its own files.
_OLD_TORCH = b"\x80\x02\x8a\n\x6c\xfc\x9c\x46\xf9 \x6a\xa8\x50\x19"

# How a pickle begins: its protocol, and a frame or the beginning of an object; or, from Python 2, text.
_PICKLE = re.compile(
    rb"\x80[\x02-\x05](?:\x95.{8}|[\]}(c\x8a\x8cXU])|\((?:dp|lp)\d+\r?\n|c(?:copy_reg|numpy)", re.DOTALL
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
