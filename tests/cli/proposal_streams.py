"""Streams of proposals, from rows and back to rows."""

import json


def stream(*videos, end=True, classes=None):
    """A stream of (id, rows, duration), a row being start, end, score and maybe label."""
    lines = [{"taltool": {"kind": "proposals", "version": 1, "classes": classes}}]
    for name, rows, duration in videos:
        proposals = [dict(zip(("segment", "score", "label"), ([s, e], *rest), strict=False)) for s, e, *rest in rows]
        lines.append({"video_id": name, "duration": duration, "proposals": proposals})
    if end:
        lines.append({"end": {"videos": len(videos)}})
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def rows(result):
    """What a stream holds: id -> [(start, end, score, label)]."""
    assert result.returncode == 0, result.stderr
    header, *lines, end = (json.loads(line) for line in result.stdout.splitlines())
    assert header["taltool"]["version"] == 2
    assert end == {"end": {"videos": len(lines)}}
    classes = header["taltool"]["classes"]
    found = {}
    for line in lines:
        labels = [classes[n] for n in line["labels"]] if "labels" in line else [None] * len(line["scores"])
        columns = zip(line["segments"], line["scores"], labels, strict=True)
        found[line["video_id"]] = [(*segment, score, label) for segment, score, label in columns]
    return found
