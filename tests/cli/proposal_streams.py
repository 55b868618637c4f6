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
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines[-1] == {"end": {"videos": len(lines) - 2}}
    return {
        line["video_id"]: [(*p["segment"], p["score"], p.get("label")) for p in line["proposals"]]
        for line in lines[1:-1]
    }
