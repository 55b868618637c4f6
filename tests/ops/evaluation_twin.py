"""Evaluation by plain loops, written from the protocols' definitions: what the array code must equal.

Detections and instances are dictionaries {video: [(label, start, end, score)]} and {video: [(label, start, end)]}.
Equal scores are ordered by video, start and end, whether the ground truth has the video or not.
"""

import time

Detections = dict[str, list[tuple[str, float, float, float]]]
Truth = dict[str, list[tuple[str, float, float]]]


def tiou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Temporal IoU of two segments; 0 where they share no length."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return shared / ((a[1] - a[0]) + (b[1] - b[0]) - shared) if shared > 0 else 0.0


def average_precision(truth: Truth, detections: Detections, label: str, threshold: float, protocol: str) -> float:
    """AP of one class at one threshold under "activitynet", "thumos14" or "thumos14-2014"."""
    positives = sum(name == label for video in truth.values() for name, *_ in video)
    mine = [(video, *row[1:]) for video, rows in detections.items() for row in rows if row[0] == label]
    mine.sort(key=lambda row: (-row[3], *row[:3]))
    ranked = [(-score, video, start, end) for video, start, end, score in mine]
    judge = _judged_by_detections if protocol == "activitynet" else _judged_by_instances
    verdicts = judge(truth, ranked, label, threshold)
    if protocol == "thumos14-2014":
        order = sorted(range(len(ranked)), key=lambda n: (ranked[n][0], verdicts[n] is not True))
        verdicts = [verdicts[n] for n in order]
    hits, counted, precisions, recalls, correct = 0, 0, [], [], []
    for verdict in verdicts:
        if verdict is None:
            continue
        hits, counted = hits + verdict, counted + 1
        precisions.append(hits / counted)
        recalls.append(hits)
        correct.append(verdict)
    return _area(precisions, recalls, correct, positives, protocol)


def _area(precisions: list[float], recalls: list[int], correct: list[bool], positives: int, protocol: str) -> float:
    if protocol == "thumos14":
        return sum(p for p, hit in zip(precisions, correct, strict=True) if hit) / positives
    if protocol == "thumos14-2014":
        best = [
            max((p for p, r in zip(precisions, recalls, strict=True) if r * 10 >= tenth * positives), default=0.0)
            for tenth in range(11)
        ]
        return sum(best) / 11 if any(correct) else 0.0
    return sum(max(precisions[n:]) for n, hit in enumerate(correct) if hit) / positives


def _judged_by_detections(
    truth: Truth, ranked: list[tuple[float, str, float, float]], label: str, threshold: float
) -> list[bool | None]:
    taken: set[tuple[str, int]] = set()
    verdicts: list[bool | None] = []
    for _, video, start, end in ranked:
        instances = [(n, s, e) for n, (name, s, e) in enumerate(truth.get(video, [])) if name == label]
        best, choice = -1.0, None
        for n, s, e in instances:
            overlap = tiou((start, end), (s, e))
            if (video, n) not in taken and overlap > 0 and overlap >= threshold and overlap > best:
                best, choice = overlap, n
        if choice is not None:
            taken.add((video, choice))
        verdicts.append(choice is not None)
    return verdicts


def _judged_by_instances(
    truth: Truth, ranked: list[tuple[float, str, float, float]], label: str, threshold: float
) -> list[bool | None]:
    verdicts: list[bool | None] = [False] * len(ranked)
    for video, annotations in truth.items():
        mine = [n for n, detection in enumerate(ranked) if detection[1] == video]
        for name, s, e in annotations:
            if name != label:
                continue
            best, choice = threshold, None
            for n in mine:
                overlap = tiou((s, e), ranked[n][2:])
                if not verdicts[n] and overlap > best:
                    best, choice = overlap, n
            if choice is not None:
                verdicts[choice] = True
        for name, s, e in annotations:
            for n in mine:
                if name == "Ambiguous" and not verdicts[n] and tiou((s, e), ranked[n][2:]) > 0:
                    verdicts[n] = None
    return verdicts


def mean_average_precision(truth: Truth, detections: Detections, threshold: float, protocol: str) -> float:
    """The mean AP over the classes that have instances, `Ambiguous` being none under the THUMOS rules."""
    labels = sorted({name for video in truth.values() for name, *_ in video})
    if protocol != "activitynet":
        labels = [label for label in labels if label != "Ambiguous"]
    return sum(average_precision(truth, detections, label, threshold, protocol) for label in labels) / len(labels)


def average_recall(truth: Truth, detections: Detections, thresholds: list[float], maximum: int) -> list[float]:
    """AR at an average of 1 .. maximum proposals a video by the ratio rule of the ActivityNet proposal kit."""
    videos = [video for video in truth if truth[video]]
    given = sum(map(len, detections.values()))
    if not given:
        return [0.0] * maximum
    ratio = maximum * float(len(videos)) / given
    kept = {}
    for video in videos:
        ranked = sorted((-score, start, end) for _, start, end, score in detections.get(video, []))
        kept[video] = [(start, end) for _, start, end in ranked[: min(int(len(ranked) * ratio), len(ranked))]]
    total = sum(map(len, kept.values()))
    if not total:
        return [0.0] * maximum
    curve = []
    for number in range(1, maximum + 1):
        fraction = number / maximum * (maximum * float(len(videos)) / total)
        found = instances = 0
        for video in videos:
            allowed = kept[video][: min(int(len(kept[video]) * fraction), len(kept[video]))]
            for _, s, e in truth[video]:
                instances += 1
                found += sum(any(tiou(each, (s, e)) >= threshold for each in allowed) for threshold in thresholds)
        curve.append(found / instances / len(thresholds))
    return curve


def fixed_recall(truth: Truth, detections: Detections, thresholds: list[float], number: int) -> float:
    """Recall of the `number` best proposals of every video, averaged over the thresholds."""
    found = instances = 0
    for video, annotations in truth.items():
        ranked = sorted((-score, start, end) for _, start, end, score in detections.get(video, []))[:number]
        for _, s, e in annotations:
            instances += 1
            found += sum(any(tiou(each[1:], (s, e)) >= t for each in ranked) for t in thresholds)
    return found / instances / len(thresholds)


def multiple_recall(truth: Truth, detections: Detections, threshold: float, multiple: int) -> float:
    """R@kx: the mean over classes of the recall of the k*n best detections of each video and class."""
    recalls = []
    for label in sorted({name for video in truth.values() for name, *_ in video}):
        found = instances = 0
        for video, annotations in truth.items():
            mine = [(s, e) for name, s, e in annotations if name == label]
            ranked = sorted((-score, s, e) for name, s, e, score in detections.get(video, []) if name == label)
            allowed = ranked[: multiple * len(mine)]
            instances += len(mine)
            found += sum(any(tiou(each[1:], segment) >= threshold for each in allowed) for segment in mine)
        recalls.append(found / instances)
    return sum(recalls) / len(recalls)


def timed_twin(database: dict, subset: str, results: dict, thresholds: list[float]) -> float:
    """CPU seconds that these loops take for mAP, for the benchmark."""
    truth = {
        key: [(a["label"], *a["segment"]) for a in entry["annotations"]]
        for key, entry in database.items()
        if entry["subset"] == subset
    }
    detections = {
        key: [(p["label"], *p["segment"], p["score"]) for p in proposals] for key, proposals in results.items()
    }
    started = time.process_time()
    for threshold in thresholds:
        mean_average_precision(truth, detections, threshold, "activitynet")
    return time.process_time() - started
