"""A file about videos beside the ground truth: ids, durations and labels that do not fit."""

from collections.abc import Iterable, Mapping

from taltool.data.near_ids import renaming
from taltool.data.records import GroundTruth
from taltool.inspection.names import slips
from taltool.inspection.oddities import Oddities

# Seconds; programs that count frames, or trust headers, differ by less.
_SAME_DURATION = 0.5


def add_differences(
    truth: GroundTruth, durations: Mapping[str, float | None], labels: Iterable[str], odd: Oddities
) -> None:
    """Count what a file says of videos, whose durations (seconds, None where it has none) these are, and of `labels`
    that does not fit the ground truth."""
    ids, file = list(durations), truth.file
    strange = [each for each in ids if each not in truth.videos]
    odd.add(f"videos that {file} does not have", len(strange), lambda number: f"'{strange[number]}'")
    if strange and (named := renaming(strange, truth.videos)):
        odd.notes.append(f"of the videos that {file} lacks {named}")
    known = {each: (truth.videos[each].duration, durations[each]) for each in ids if each in truth.videos}
    other = [(each, own, theirs) for each, (own, theirs) in known.items() if _differ(own, theirs)]
    odd.add(
        f"videos whose durations differ from those in {file} by more than {_SAME_DURATION} s",
        len(other),
        lambda number: f"'{other[number][0]}' {other[number][2]:g} s, there {other[number][1]:g} s",
    )
    # Nobody predicts on the training videos: only the subsets that the file is about are expected whole.
    subsets = {truth.videos[each].subset for each in known}
    lacking = [each for each, video in truth.videos.items() if video.subset in subsets and each not in known]
    within = ", ".join(sorted(str(each) for each in subsets if each is not None))
    odd.add(
        f"videos of {file}{f' ({within})' if within else ''} that are not here",
        len(lacking),
        lambda number: f"'{lacking[number]}'",
    )
    unknown = [label for label in labels if label not in truth.names]
    meant = {new: old for old, new in slips([*truth.names, *unknown])}
    odd.add(
        f"labels that {file} does not have",
        len(unknown),
        lambda n: f"'{unknown[n]}'" + (f", it has '{meant[unknown[n]]}'" if unknown[n] in meant else ""),
    )


def add_other_durations(known: Mapping[str, float], durations: Mapping[str, float | None], odd: Oddities) -> None:
    """Count what --durations, seconds by id, says otherwise of the videos, or calls otherwise where it lacks them."""
    pairs = [(each, own, known[each]) for each, own in durations.items() if each in known]
    other = [(each, own, said) for each, own, said in pairs if _differ(own, said)]
    odd.add(
        f"videos whose durations differ from --durations by more than {_SAME_DURATION} s",
        len(other),
        lambda number: f"'{other[number][0]}' {other[number][1]:g} s, there {other[number][2]:g} s",
    )
    without = [each for each, own in durations.items() if own is None and each not in known]
    odd.add("videos without a duration, in --durations too", len(without), lambda number: f"'{without[number]}'")
    if without and (named := renaming(without, known)):
        odd.notes.append(f"of the videos that --durations lacks {named}")


def _differ(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) > _SAME_DURATION
