"""The ground truth of THUMOS14 and ActivityNet goes to every format of annotations that is written, and back."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from strange_contents import written_formats

from taltool.data.convert import convert
from taltool.data.formats import FORMATS

WRITTEN = [name for name in written_formats() if "annotations" in FORMATS.load(name).kinds]
# What formats say that they lost of videos, and nothing of segments and labels. What begins otherwise is of those.
OF_VIDEOS = ("durations", "the subsets", "videos without annotations", "the keys", "the taxonomy", "the numbers of")
SEGMENT = tuple[float, float]


def of_videos(phrase: str) -> bool:
    return phrase.lstrip("0123456789, ").startswith(OF_VIDEOS)


def part(database: dict[str, Any], most: int) -> dict[str, Any]:
    """The first videos of each subset, so many."""
    seen: dict[str, int] = defaultdict(int)
    kept = {}
    for key, entry in database.items():
        seen[entry["subset"]] += 1
        if seen[entry["subset"]] <= most:
            kept[key] = entry
    return kept


def by_label(entry: dict[str, Any]) -> dict[str, list[SEGMENT]]:
    found: dict[str, list[SEGMENT]] = defaultdict(list)
    for each in sorted(entry.get("annotations") or [], key=lambda each: each["segment"]):
        found[each["label"]].append((each["segment"][0], each["segment"][1]))
    return found


def united(segments: list[SEGMENT], gap: float) -> list[SEGMENT]:
    """The segments, in order of start, of which those that touch are one."""
    found: list[SEGMENT] = []
    for start, end in segments:
        if found and start <= found[-1][1] + gap:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def lie_in(segments: list[SEGMENT], others: list[SEGMENT], resolution: float) -> bool:
    """Whether each segment lies in one of the others, ends apart that were rounded."""
    return all(any(a - resolution <= start and end <= b + resolution for a, b in others) for start, end in segments)


# All of the smaller one, and a part of ActivityNet; the whole takes long. Of formats of a file for each video or class
# some hundred do.
FILES = [name for name in WRITTEN if not (FORMATS.load(name).one_video or FORMATS.load(name).is_folder)]
CASES = [
    *((name, "thumos14_gt", 1_000 if name in FILES else 40) for name in WRITTEN),
    *((name, "activitynet13_gt", 400 if name in FILES else 40) for name in WRITTEN),
    *(pytest.param(name, "activitynet13_gt", 20_000, marks=pytest.mark.slow) for name in FILES),
]


@pytest.mark.parametrize(("name", "data", "most"), CASES)
def test_real_ground_truth_comes_back(name: str, data: str, most: int, shared: Path, tmp_path: Path) -> None:
    kind = FORMATS.load(name)
    whole = orjson.loads((shared / f"data/{data}.json").read_bytes())
    source = tmp_path / "part.json"
    source.write_bytes(orjson.dumps(whole | {"database": part(whole["database"], most)}))
    before = orjson.loads(source.read_bytes())["database"]
    there = tmp_path / "there"
    facts: dict[str, Any] = {"durations": source} | ({"fps": 30} if "fps" in kind.heeds_written else {})
    labels = {label: n for n, label in enumerate(sorted({label for e in before.values() for label in by_label(e)}))}
    output = f"{there}/" if kind.one_video else there
    lost = convert(source, output=output, target=name, classes=labels, **facts).lost
    # Where a file is one video, files are named after them.
    files = sorted(file for file in there.rglob("*") if file.is_file()) if kind.one_video else [there]
    back = tmp_path / "back.json"
    left_out = convert(*files, output=back, source=name, classes=labels, **facts).left_out
    after = orjson.loads(back.read_bytes())["database"]
    said = " ".join([*lost, *left_out])
    exact = all(map(of_videos, [*lost, *left_out]))
    resolution = kind.resolution + 1e-9

    if "videos without annotations" in said:
        assert set(after) <= set(before)
        assert not any(before[key].get("annotations") for key in before.keys() - after.keys())
    else:
        assert set(after) == set(before)
    for key, entry in after.items():
        if "the subsets" not in said:
            assert entry.get("subset") == before[key]["subset"]
        assert abs(entry["duration"] - before[key]["duration"]) <= resolution
        found, expected = by_label(entry), by_label(before[key])
        if exact:
            assert found.keys() == expected.keys()
            for label in expected:
                assert len(found[label]) == len(expected[label])
                # Rounded, two may change places.
                apart = np.abs(np.subtract.outer(found[label], expected[label])[:, [0, 1], :, [0, 1]]).max(0)
                assert max(apart.min(0).max(), apart.min(1).max()) <= resolution, (key, label)
        else:
            # What touches or overlaps may be one, or cut; nothing may come that was not there.
            assert found.keys() <= expected.keys()
            assert all(lie_in(found[label], united(expected[label], resolution), resolution) for label in found), key
    if not exact:
        assert sum(len(each["annotations"]) for each in after.values()) > len(after) / 2
