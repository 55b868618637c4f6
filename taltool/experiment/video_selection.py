"""Which videos of a feature file are meant: subsets, splits and shards."""

from taltool.data.annotations import read_split
from taltool.data.features import FeatureFile
from taltool.data.records import GroundTruth
from taltool.errors import DataError, UsageError
from taltool.experiment.dataset import listed
from taltool.reporting import Reporter


def chosen_videos(
    file: FeatureFile,
    subset: str | None,
    split: str | None,
    truth: GroundTruth | None,
    skip_missing: bool,
    reporter: Reporter,
) -> list[str]:
    """The ids to predict, in the file's order: those of `subset` in the split or else in the ground truth, or all.

    A split without a subset means all its videos. Raises DataError where some have no features, unless `skip_missing`.
    """
    wanted = _wanted(subset, split, truth)
    if wanted is None:
        return file.ids
    there = set(file.ids)
    missing = sorted(wanted - there)
    if missing and not skip_missing:
        raise DataError(
            f"{file.path} has features of {len(wanted & there)} of the {len(wanted)} videos wanted; "
            f"missing: {listed(missing)}; use --skip-missing to go on without them"
        )
    if missing:
        reporter.warn(f"{len(missing)} of {len(wanted)} videos have no features, skipped: {listed(missing)}")
    return [video_id for video_id in file.ids if video_id in wanted]


def _wanted(subset: str | None, split: str | None, truth: GroundTruth | None) -> set[str] | None:
    if split is not None:
        subset_of = read_split(split)
        names = set(subset_of.values()) if subset is None else {name.strip() for name in subset.split(",")}
        unknown = sorted(names - set(subset_of.values()))
        if unknown:
            there = ", ".join(dict.fromkeys(subset_of.values()))
            raise DataError(f"{split}: no subset '{unknown[0]}' (there are: {there}); choose with --subset")
        return {video_id for video_id, name in subset_of.items() if name in names}
    if subset is None:
        return None
    if truth is None:
        raise UsageError("--subset needs --ground-truth GT or --split FILE:NAME, which say what is in it")
    return set(truth.subset(subset).videos)


def sharded(video_ids: list[str], shard: str | None) -> list[str]:
    """Every N-th id from the I-th on, for a shard "I/N" that counts from 1; all for None."""
    if shard is None:
        return video_ids
    index, slash, count = shard.partition("/")
    if not slash or not index.isdigit() or not count.isdigit() or not 1 <= int(index) <= int(count):
        raise UsageError(f"--shard {shard}: expected I/N with I from 1 to N")
    return video_ids[int(index) - 1 :: int(count)]
