"""Rows by group and in blocks, against plain loops."""

import numpy as np
import pytest
from evaluation_cases import drawn_case, flat

from taltool.data.arrays import Detections
from taltool.ops import segments
from taltool.ops.matching import first_hits
from taltool.ops.metrics.map import mean_average_precision
from taltool.ops.protocols import PROTOCOLS
from taltool.ops.segments import blocks, by_group, shared_blocks, total_order


@pytest.mark.parametrize("num_groups", [1, 5, 40_000])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_rows_stand_by_group_and_in_their_order(num_groups: int, dtype: type) -> None:
    # 65,537 is group 1 to whoever looks at 16 bits only.
    groups = np.random.default_rng(0).choice([-1, 0, 1, 2, 4, 7, 39_999, 65_537], 200).astype(dtype)
    rows, edges = by_group(groups, num_groups)
    for group in (0, 1, 2, 3, 4, 39_999):
        if group < num_groups:
            assert rows[edges[group] : edges[group + 1]].tolist() == np.flatnonzero(groups == group).tolist()
    assert len(edges) == num_groups + 1
    assert len(rows) == edges[-1] == np.count_nonzero((groups >= 0) & (groups < num_groups))
    assert rows.itemsize == 4


@pytest.mark.parametrize("at_once", [1, 3, 10, 1000])
def test_blocks_are_whole_groups_and_hold_about_as_much_as_they_may(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(segments, "_ROWS_AT_ONCE", at_once)
    for sizes in ([0, 4, 0, 1, 1, 1, 9, 0], [0, 0], [], [5]):
        edges = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        found = list(blocks(edges))
        assert [group for first, last in found for group in range(first, last)] == list(range(len(sizes)))
        assert all(sum(sizes[first : last - 1]) <= at_once for first, last in found)


def test_shared_blocks_hold_every_row_once_beside_those_of_the_same_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "_ROWS_AT_ONCE", 10)
    rng = np.random.default_rng(0)
    groups, others = rng.integers(0, 9, 100), rng.integers(0, 7, 30)
    pairs = list(shared_blocks(groups, others, 9))
    assert len(pairs) > 5
    assert sorted(np.concatenate([rows for rows, _ in pairs]).tolist()) == list(range(100))
    assert sorted(np.concatenate([rows for _, rows in pairs]).tolist()) == list(range(30))
    seen = [set(groups[rows].tolist()) for rows, _ in pairs]
    assert all(a.isdisjoint(b) for n, a in enumerate(seen) for b in seen[:n])
    assert all(set(others[there].tolist()) <= own for (_, there), own in zip(pairs, seen, strict=True))


@pytest.mark.parametrize("name", list(PROTOCOLS))
@pytest.mark.parametrize("at_once", [1, 7])
def test_blocks_do_not_change_a_digit(monkeypatch: pytest.MonkeyPatch, name: str, at_once: int) -> None:
    rules = PROTOCOLS[name]
    kit = rules.ties == "kit"
    for seed in range(40):
        within, found, _ = flat(*drawn_case(seed, ties=seed % 2 == 0), excused=rules.excused)
        results = []
        for size in (1 << 16, at_once):
            monkeypatch.setattr(segments, "_ROWS_AT_ONCE", size)
            result = mean_average_precision(within.truth, found, [0.3, 0.5], rules, within.excused)
            hits = [first_hits(within.truth, found, [0.3, 0.5], by_class=c, kit_ties=kit).ranks for c in (False, True)]
            matches = result.matches
            results.append([result.ap, matches.order, matches.partners, matches.forgiven, *hits])
        for one, other in zip(*results, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=f"seed {seed}")


@pytest.mark.parametrize("seed", range(20))
def test_the_total_order_is_that_of_plain_sorting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 60))
    segments = np.sort(rng.integers(0, 3, (count, 2)), axis=1).astype(float)
    # -0.0 equals 0.0, so these scores tie.
    scores = rng.choice([0.0, -0.0, 0.25, 0.5], count)
    videos, groups = rng.integers(0, 3, count, np.int32), rng.integers(-1, 3, count, np.int16)
    rows = range(count)
    for places in (None, np.array([2, 0, 1])):
        found = total_order(groups, Detections(videos, groups, segments, scores, places))
        ids = videos if places is None else places[videos]
        assert found.tolist() == sorted(rows, key=lambda n: (groups[n], -scores[n], ids[n], *segments[n]))
