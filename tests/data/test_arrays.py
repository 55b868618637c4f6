"""What counts within a scope, what is left out, and what is counted aloud."""

import tracemalloc
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from taltool.data.annotations import read_id_list
from taltool.data.arrays import Amount, Detections, Scope, flatten, scope
from taltool.data.records import GroundTruth, LabelVocabulary, VideoAnnotations, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.ops.metrics import METRICS
from taltool.ops.metrics.contract import MetricInput
from taltool.ops.protocols import PROTOCOLS, dataset_spec, parse_thresholds
from taltool.ops.segments import total_order

ANNOTATIONS = {
    "b": ("validation", [("run", 0, 10), ("jump", 20, 30)]),
    "a": ("validation", [("jump", 5, 6)]),
    "t": ("training", [("swim", 0, 1)]),
    "n": ("validation", [("Ambiguous", 3, 9)]),
}


@pytest.fixture
def truth() -> GroundTruth:
    """Three validation videos and one of another subset."""
    names = LabelVocabulary()
    videos = {
        key: VideoAnnotations(
            key, 100.0, subset, np.array([row[1:] for row in rows], float), names.numbered([row[0] for row in rows])
        )
        for key, (subset, rows) in ANNOTATIONS.items()
    }
    return GroundTruth(videos, names, "gt.json")


def video(video_id: str, *labels: str | None) -> VideoProposals:
    names = LabelVocabulary()
    numbers = None if None in labels else names.numbered(list(labels))  # type: ignore[arg-type]
    segments = np.array([[n, n + 1] for n in range(len(labels))], float)
    return VideoProposals(video_id, segments, np.linspace(1, 0, len(labels)), numbers, names)


def counted(within: Scope, detections: Detections) -> list[tuple[int, int]]:
    assert len(detections) == len(detections.segments) == len(detections.scores)
    return list(zip(detections.videos.tolist(), detections.labels.tolist(), strict=True))


def test_videos_are_numbered_by_id_and_classes_as_they_appear(truth: GroundTruth) -> None:
    within = scope(truth, "validation", excused="Ambiguous")
    assert within.video_ids == ["a", "b", "n"]
    assert within.class_names == ["run", "jump"]
    assert within.truth.videos.tolist() == [0, 1, 1]
    assert within.truth.labels.tolist() == [1, 0, 1]
    assert within.excused.segments.tolist() == [[3, 9]]
    assert within.excused.videos.tolist() == [2]


def test_without_an_excused_label_it_is_a_class(truth: GroundTruth) -> None:
    within = scope(truth, "validation")
    assert within.class_names == ["run", "jump", "Ambiguous"]
    assert len(within.excused) == 0


def test_videos_of_other_subsets_are_left_out_and_counted(truth: GroundTruth) -> None:
    within = scope(truth, "validation")
    detections, contents = flatten([video("t", "run", "run"), video("a", "run")], within)
    assert counted(within, detections) == [(0, 0)]
    assert contents.left_out == {"other subsets": Amount(videos=1, detections=2)}
    assert contents.counted == Amount(videos=1, detections=1)


def test_unknown_videos_count_and_are_numbered_after_the_known(truth: GroundTruth) -> None:
    within = scope(truth, "validation")
    detections, contents = flatten([video("z", "run"), video("aa", "run"), video("b", "run")], within)
    assert counted(within, detections) == [(4, 0), (3, 0), (1, 0)]
    assert contents.unknown_videos == Amount(videos=2, detections=2)
    assert not contents.left_out


def test_among_equal_scores_unknown_videos_stand_by_their_ids_as_the_others_do(truth: GroundTruth) -> None:
    found, _ = flatten([video(name, "run") for name in ("z", "b", "an", "0", "a")], scope(truth, "validation"))
    assert [int(each) for each in total_order(found.labels, found)] == [3, 4, 2, 1, 0]
    assert total_order(found.labels[:3], found.take(np.arange(3))).tolist() == [2, 1, 0]


def test_unknown_labels_are_kept_without_a_class_and_counted(truth: GroundTruth) -> None:
    within = scope(truth, "validation")
    detections, contents = flatten([video("a", "run", "swim", "fly", "fly")], within)
    assert detections.labels.tolist() == [0, -1, -1, -1]
    assert contents.unknown_labels == {"swim": 1, "fly": 2}


def test_videos_of_several_sources_may_number_their_labels_each_in_their_own_way(truth: GroundTruth) -> None:
    within = scope(truth, "validation")
    detections, contents = flatten([video("a", "run", "jump"), video("b", "jump", "fly", "run")], within)
    assert counted(within, detections) == [(0, 0), (0, 1), (1, 1), (1, -1), (1, 0)]
    assert contents.unknown_labels == {"fly": 1}


@pytest.mark.parametrize("seed", range(30))
def test_flat_arrays_are_those_of_plain_loops(truth: GroundTruth, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chosen = [None, ["jump"], ["run", "Ambiguous"]][seed % 3]
    within = scope(truth, "validation", classes=chosen, agnostic=seed % 5 == 0, excluded=["a"] if seed % 2 else [])
    # Two vocabularies that grow while videos are read, as those of streams without a header do.
    vocabularies, videos, rows = [LabelVocabulary(), LabelVocabulary()], [], []
    for video_id in rng.permutation(["a", "b", "n", "t", "z", "aa", "b", "y"]).tolist():
        count, names = int(rng.integers(0, 5)), vocabularies[int(rng.integers(2))]
        labels = rng.choice(["run", "jump", "Ambiguous", "fly", "swim", "sit"], count).tolist()
        labels = None if rng.random() < 0.2 else labels
        segments = np.sort(rng.integers(0, 4, (count, 2)), axis=1).astype(float)
        scores = rng.random(count)
        numbers = None if labels is None else names.numbered(labels)
        videos.append(VideoProposals(video_id, segments, scores, numbers, names))
        plain = zip(labels or [None] * count, segments.tolist(), scores.tolist(), strict=True)
        rows += [(video_id, *row) for row in plain]
    detections, contents = flatten(iter(videos), within)
    inside = [row for row in rows if row[0] not in within.left_out]
    counts = [row for row in inside if row[1] not in within.other_classes]
    ids = within.video_ids + sorted({row[0] for row in inside} - set(within.video_ids))
    classes = {name: 0 if within.agnostic else n for n, name in enumerate(within.class_names)}
    one_class = within.agnostic and chosen is None
    assert detections.videos.tolist() == [ids.index(row[0]) for row in counts]
    assert detections.labels.tolist() == [0 if one_class else classes.get(row[1], -1) for row in counts]
    assert detections.segments.tolist() == [row[2] for row in counts]
    assert detections.scores.tolist() == [row[3] for row in counts]
    assert contents.counted == amount(counts)
    assert contents.unknown_videos == amount([row for row in counts if row[0] not in within.video_ids])
    assert contents.zero_length == sum(start == end for _, _, (start, end), _ in counts)
    assert contents.unlabelled == sum(row[1] is None for row in inside)
    assert contents.labelled == any(row[1] is not None for row in rows)
    known = {*within.class_names, *within.other_classes, None}
    unknown = {} if one_class else Counter(row[1] for row in inside if row[1] not in known)
    assert contents.unknown_labels == unknown
    left = {
        reason: [row for row in rows if within.left_out.get(row[0]) == reason] for reason in within.left_out.values()
    }
    left["other classes"] = [row for row in inside if row[1] in within.other_classes]
    assert contents.left_out == {reason: amount(those) for reason, those in left.items() if those}


def amount(rows: list[tuple[object, ...]]) -> Amount:
    return Amount(len({row[0] for row in rows}), len(rows))


def test_evaluation_holds_40_bytes_a_detection() -> None:
    count, videos, classes = 200_000, 100, 5
    rng = np.random.default_rng(0)
    names = LabelVocabulary(f"class {n}" for n in range(classes))
    starts, numbers = rng.uniform(0, 90, 200), rng.integers(0, classes, 200)
    annotations = {
        f"v{n}": VideoAnnotations(
            f"v{n}", 100.0, None, np.stack([starts, starts + 5], 1)[n::videos], numbers[n::videos]
        )
        for n in range(videos)
    }
    within = scope(GroundTruth(annotations, names, "gt.json"))
    thresholds = parse_thresholds("0.5:0.95:0.05")

    def read() -> Iterator[VideoProposals]:
        for n in range(videos):
            each = count // videos
            begin = rng.uniform(0, 90, each)
            labels = rng.integers(0, classes, each)
            yield VideoProposals(f"v{n}", np.stack([begin, begin + 5], 1), rng.random(each), labels, names)

    def measure(detections: Detections, protocol: str, *names: str) -> MetricInput:
        data = MetricInput(
            scope=within,
            detections=detections,
            protocol=PROTOCOLS[protocol],
            tious=thresholds,
            recall_tious=thresholds,
            multiples=(1,),
        )
        for name in names:
            METRICS.load(name)().values(data, data.weights())
        return data

    for asked in (("activitynet", "map"), ("thumos14", "map", "kx", "ar")):
        measure(flatten([], within)[0], *asked)  # what is loaded once is not counted
        tracemalloc.start()
        detections, _ = flatten(read(), within)
        data = measure(detections, *asked)
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # 30 in columns, 5 of the matching; the rest is the instances, and room at the columns' ends.
        assert held / count < 40
        assert data.detections is detections  # so what its metrics share was held
        assert peak / count < 80


def test_detections_without_a_label_among_others_are_counted_aloud(truth: GroundTruth) -> None:
    detections, contents = flatten([video("a", "run"), video("b", None, None)], scope(truth, "validation"))
    assert detections.labels.tolist() == [0, -1, -1]
    assert contents.labelled
    assert contents.unlabelled == 2


def test_chosen_classes_leave_the_others_out(truth: GroundTruth) -> None:
    within = scope(truth, "validation", classes=["jump"])
    detections, contents = flatten([video("b", "run", "jump", "fly")], within)
    assert within.class_names == ["jump"]
    assert len(within.truth) == 2
    assert detections.labels.tolist() == [0, -1]
    assert contents.left_out == {"other classes": Amount(videos=1, detections=1)}


def test_agnostic_makes_one_class_of_all(truth: GroundTruth) -> None:
    within = scope(truth, "validation", agnostic=True)
    detections, contents = flatten([video("b", "run", "fly"), video("a", None)], within)
    assert within.truth.labels.tolist() == [0] * 4
    assert within.truth.num_classes == 1
    assert detections.labels.tolist() == [0, 0, 0]
    assert not contents.unknown_labels


def test_excluded_videos_count_on_neither_side(truth: GroundTruth) -> None:
    within = scope(truth, "validation", excluded=["b", "nowhere"])
    detections, contents = flatten([video("b", "run"), video("nowhere", "run"), video("a", "jump")], within)
    assert within.video_ids == ["a", "n"]
    assert len(detections) == 1
    assert contents.left_out == {"excluded videos": Amount(videos=2, detections=2)}


def test_zero_length_detections_are_counted_aloud(truth: GroundTruth) -> None:
    whole = video("a", "run", "run")
    whole.segments[1] = 4.0
    assert flatten([whole], scope(truth, "validation"))[1].zero_length == 1


def test_nothing_at_all_is_flat_too(truth: GroundTruth) -> None:
    detections, contents = flatten([], scope(truth, "validation"))
    assert len(detections) == 0
    assert detections.segments.shape == (0, 2)
    assert contents.counted == Amount(0, 0)


def test_absent_class_is_an_error_that_names_a_likely_one(truth: GroundTruth) -> None:
    with pytest.raises(DataError, match=r"no instance of class 'jmp'.*did you mean 'jump'"):
        scope(truth, "validation", classes=["jmp"])


def test_id_list_skips_comments_and_doubles(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "blocked.txt"
    file.write_text("# blocked since 2019\nv 1\n\nv_2\nv 1\n")
    ids, sha256 = read_id_list(str(file))
    assert ids == ["v 1", "v_2"]
    assert len(sha256) == 64


def test_empty_id_list_is_an_error(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "blocked.txt"
    file.write_text("# nothing\n")
    with pytest.raises(DataError, match="lists no video id"):
        read_id_list(str(file))


def test_data_sets_know_their_subsets() -> None:
    assert dataset_spec("thumos14").evaluation == "testing"
    assert dataset_spec("activitynet13").evaluation == "validation"
    assert dataset_spec(None).evaluation == "validation"
    with pytest.raises(UsageError, match="did you mean 'thumos14'"):
        dataset_spec("thumos")
