"""Durations beside annotations and features: what is no duration is refused with its line."""

from pathlib import Path

import pytest

from taltool.data.sidecars import read_durations
from taltool.errors import DataError


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "0", "-3", "long"])
def test_a_duration_that_is_no_positive_finite_number_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "durations.csv"
    path.write_text(f"video_id,duration\na,2.5\nb,{text}\n")
    with pytest.raises(DataError, match=f"durations.csv:3: duration '{text}' is not a positive, finite number"):
        read_durations(str(path))


def test_a_table_without_a_row_says_no_duration(tmp_path: Path) -> None:
    path = tmp_path / "durations.csv"
    path.write_text("video_id,duration\n")
    with pytest.raises(DataError, match=r"durations\.csv: no video has a duration in it"):
        read_durations(str(path))
