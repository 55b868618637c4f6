"""Small evaluation problems, drawn or by hand, in the plain form of the twin and as the arrays of taltool."""

import numpy as np
from evaluation_twin import Detections as PlainDetections
from evaluation_twin import Truth

from taltool.data.arrays import Contents, Detections, Scope, flatten, scope
from taltool.data.records import GroundTruth, LabelVocabulary, VideoAnnotations, VideoProposals


def ground_truth(truth: Truth, subsets: dict[str, str] | None = None) -> GroundTruth:
    """The record of a plain ground truth; every video lasts 100 s."""
    names = LabelVocabulary()
    videos = {}
    for video, annotations in truth.items():
        segments = np.array([pair for _, *pair in annotations], float).reshape(-1, 2)
        labels = names.numbered([name for name, *_ in annotations])
        videos[video] = VideoAnnotations(video, 100.0, (subsets or {}).get(video), segments, labels)
    return GroundTruth(videos, names)


def proposals(detections: PlainDetections) -> list[VideoProposals]:
    """The records of plain detections, in their order."""
    names = LabelVocabulary()
    return [
        VideoProposals(
            video,
            np.array([row[1:3] for row in rows], float).reshape(-1, 2),
            np.array([row[3] for row in rows], float),
            names.numbered([row[0] for row in rows]),
            names,
        )
        for video, rows in detections.items()
    ]


def flat(
    truth: Truth, detections: PlainDetections, excused: str | None = None, **options: object
) -> tuple[Scope, Detections, Contents]:
    """A plain problem as arrays."""
    within = scope(ground_truth(truth), excused=excused, **options)  # type: ignore[arg-type]
    return within, *flatten(proposals(detections), within)


def drawn_case(seed: int, ties: bool = False) -> tuple[Truth, PlainDetections]:
    """A random problem with every oddity: videos without instances or detections, videos that the ground truth does
    not know, unknown labels, zero-length segments, duplicates, `Ambiguous` segments, one class or 200.
    """
    rng = np.random.default_rng(seed)
    num_classes = int(rng.choice([1, 2, 5, 200], p=[0.25, 0.25, 0.4, 0.1]))
    labels = [f"class {n}" for n in range(num_classes)]
    videos = [f"video {n}" for n in rng.permutation(int(rng.integers(1, 9)))]
    truth: Truth = {video: [] for video in videos}
    for video in videos:
        for _ in range(int(rng.integers(0, 6))):
            start, end = np.sort(rng.uniform(0, 100, 2))
            label = str(rng.choice([*labels, "Ambiguous"], p=[0.9 / num_classes] * num_classes + [0.1]))
            truth[video].append((label, float(start), float(start if rng.random() < 0.05 else end)))
            if rng.random() < 0.1:
                truth[video].append(truth[video][-1])
    truth[videos[0]].append((labels[0], 10.0, 20.0))
    return truth, _drawn_detections(rng, truth, labels, ties)


def _drawn_detections(rng: np.random.Generator, truth: Truth, labels: list[str], ties: bool) -> PlainDetections:
    detections: PlainDetections = {}
    scores = iter(rng.permutation(1000) / 1000)  # no two are equal
    for video in [*truth, "stranger"]:
        rows = []
        for _ in range(int(rng.integers(0, 25)) if rng.random() < 0.85 else 0):
            start, end = np.sort(rng.uniform(0, 100, 2))
            label = str(rng.choice(labels))
            if truth.get(video) and rng.random() < 0.7:
                label, start, end = truth[video][int(rng.integers(len(truth[video])))]
                start, end = np.sort([start, end] + rng.normal(0, 0.15, 2) * (end - start))
            label = "unheard of" if rng.random() < 0.03 else label
            end = start if rng.random() < 0.05 else end
            score = float(next(scores))
            rows.append((label, float(start), float(end), round(score, 1) if ties else score))
            if rng.random() < 0.05:
                rows.append((label, float(start), float(end), float(next(scores))))
        if rows:
            detections[video] = rows
    return detections
