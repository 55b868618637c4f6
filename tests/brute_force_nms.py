"""Suppression by plain loops, written from the formulas alone: the twin that the fast one must equal."""

import math

Candidate = tuple[float, float, float, int]  # start, end, score, label


def tiou(a: Candidate, b: Candidate) -> float:
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared / union if union > 0 else 0.0


def lowered(score: float, o: float, method: str, threshold: float, sigma: float) -> float | None:
    if not o > threshold:
        return score
    if method == "hard":
        return None
    return score * (1 - o) if method == "soft-linear" else score * math.exp(-(o * o) / sigma)


def total_order(candidate: Candidate) -> tuple[float, float, float, int]:
    start, end, score, label = candidate
    return -score, start, end, label


def suppress(
    candidates: list[Candidate],
    method: str,
    tiou_threshold: float,
    sigma: float = 0.5,
    wide: float = 0.9,
    duration: float = 1.0,
    min_score: float = -math.inf,
    top_k: int | None = None,
    top_k_per_class: int | None = None,
    pre_top_k: int | None = None,
    agnostic: bool = False,
    dedup: bool = False,
) -> list[Candidate]:
    left = sorted(candidates, key=total_order)
    if dedup:
        left = [c for n, c in enumerate(left) if not any(c[:2] == d[:2] and c[3] == d[3] for d in left[:n])]
    left = left[:pre_top_k]
    kept: list[Candidate] = []
    while left:
        best = min(left, key=total_order)
        left.remove(best)
        if best[2] < min_score:
            break
        kept.append(best)
        threshold = tiou_threshold
        if method == "soft-width":
            threshold += (wide - tiou_threshold) * ((best[1] - best[0]) / duration)
        remaining = []
        for other in left:
            score: float | None = other[2]
            if agnostic or other[3] == best[3]:
                score = lowered(other[2], tiou(best, other), method, threshold, sigma)
            if score is not None:
                remaining.append((other[0], other[1], score, other[3]))
        left = remaining
    if top_k_per_class is not None:
        kept = [c for n, c in enumerate(kept) if sum(d[3] == c[3] for d in kept[:n]) < top_k_per_class]
    return sorted(kept, key=total_order)[:top_k]
