"""Thresholds are the decimals that were written."""

import pytest

from taltool.errors import UsageError
from taltool.ops.protocols import parse_thresholds


def test_range_gives_the_literals_and_not_what_floats_add_up_to() -> None:
    assert parse_thresholds("0.3:0.7:0.1").values == (0.3, 0.4, 0.5, 0.6, 0.7)
    assert parse_thresholds("0.5:0.95:0.05").values == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def test_names_have_two_decimals_or_as_many_as_were_written() -> None:
    assert parse_thresholds("0.5,0.75,.125,1").names == ("0.50", "0.75", "0.125", "1.00")


def test_range_may_miss_its_stop() -> None:
    assert parse_thresholds("0.5:0.95:0.1").values == (0.5, 0.6, 0.7, 0.8, 0.9)


def test_parts_may_be_mixed() -> None:
    assert parse_thresholds("0.1, 0.3:0.5:0.1").values == (0.1, 0.3, 0.4, 0.5)


def test_the_papers_order_is_refused_with_the_right_one() -> None:
    with pytest.raises(UsageError, match=r"did you mean 0\.3:0\.7:0\.1"):
        parse_thresholds("0.3:0.1:0.7")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "neither a number"),
        ("half", "neither a number"),
        ("nan", "not finite"),
        ("0", "above 0"),
        ("1.5", "at most at 1"),
        ("50", "at most at 1"),
        ("0.5,0.50", "given twice"),
        ("0.3:0.7", "is not start:stop:step"),
        ("0.3:0.7:0", "positive step"),
        ("0.1:1:0.0001", "too many"),
    ],
)
def test_what_is_no_threshold_is_named(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_thresholds(text)


def test_numbers_are_thresholds_as_their_text_is() -> None:
    assert parse_thresholds([0.3, 0.5]) == parse_thresholds("0.3,0.5")
    assert parse_thresholds(0.5) == parse_thresholds("0.5")
    assert parse_thresholds((1,)).names == ("1.00",)
