"""The rows of public data sets, and names that are none."""

import pytest

from taltool.errors import UsageError
from taltool.ops.protocols import ANY_DATASET, dataset_of_preset, dataset_spec


@pytest.mark.parametrize("release", ["activitynet12", "activitynet13"])
def test_both_activitynets_follow_the_challenge(release: str) -> None:
    """The 2016 to 2019 challenges average tIoU 0.5:0.05:0.95 on the validation videos."""
    facts = dataset_spec(release)
    assert (facts.training, facts.evaluation, facts.tious) == ("training", "validation", "0.5:0.95:0.05")


def test_thumos14_trains_on_its_untrimmed_validation_videos() -> None:
    facts = dataset_spec("thumos14")
    assert (facts.training, facts.evaluation, facts.tious) == ("validation", "testing", "0.3:0.7:0.1")


def test_an_unknown_name_lists_those_that_are_known() -> None:
    with pytest.raises(UsageError, match=r"'thumos15' \(did you mean thumos14\?\)|thumos14.*activitynet12"):
        dataset_spec("thumos15")


def test_a_preset_that_names_a_data_set_has_its_subsets() -> None:
    for preset in ("thumos14", "thumos14-paper", "code-thumos14"):
        assert dataset_of_preset(preset) is dataset_spec("thumos14")
    assert dataset_of_preset("activitynet13-adam") is dataset_spec("activitynet13")
    assert dataset_of_preset("auto") is dataset_of_preset("code") is ANY_DATASET
