"""Streams of proposals, from rows and back to rows."""

import json


def stream(*videos, end=True, classes=None):
    """A stream of version 1 of (id, rows, duration), a row being start, end, score and maybe label."""
    lines = [{"taltool": {"kind": "proposals", "version": 1, "classes": classes}}]
    for name, rows, duration in videos:
        proposals = [dict(zip(("segment", "score", "label"), ([s, e], *rest), strict=False)) for s, e, *rest in rows]
        lines.append({"video_id": name, "duration": duration, "proposals": proposals})
    if end:
        lines.append({"end": {"videos": len(videos)}})
    return text(lines)


def stream2(*videos, classes=None, **header):
    """The same in version 2; `header` are further members of the header."""
    lines = [{"taltool": {"kind": "proposals", "version": 2, "classes": classes} | header}]
    for name, rows, duration in videos:
        columns = {"segments": [row[:2] for row in rows], "scores": [row[2] for row in rows]}
        if classes is not None:
            columns["labels"] = [classes.index(row[3]) for row in rows]
        lines.append({"video_id": name, "duration": duration} | columns)
    return text([*lines, {"end": {"videos": len(videos)}}])


def text(lines):
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def rows(result):
    """What the one stream that a command wrote holds: id -> [(start, end, score, label)]."""
    assert result.returncode == 0, result.stderr
    (header,) = headers(result.stdout)
    assert header["version"] == 2
    return {video_id: found for video_id, (found, _) in held(result.stdout).items()}


def headers(content):
    """The headers of the streams in `content`."""
    return [line["taltool"] for line in map(json.loads, content.splitlines()) if "taltool" in line]


def held(content):
    """What the streams in `content` hold: id -> ([(start, end, score, label)], duration); each must be whole."""
    found, header, count = {}, None, 0
    for line in map(json.loads, content.splitlines()):
        if header is None:
            header, count = line["taltool"], 0
        elif "end" in line:
            assert line["end"]["videos"] == count == header.get("videos", count)
            header = None
        else:
            count += 1
            assert line["video_id"] not in found
            found[line["video_id"]] = (video_rows(line, header), line.get("duration"))
    assert header is None
    return found


def video_rows(line, header):
    if header["version"] == 1:
        return [(*each["segment"], each["score"], each.get("label")) for each in line["proposals"]]
    labels = [None] * len(line["scores"])
    if "labels" in line:
        labels = [header["classes"][number] for number in line["labels"]]
    columns = zip(line["segments"], line["scores"], labels, strict=True)
    return [(*segment, score, label) for segment, score, label in columns]
