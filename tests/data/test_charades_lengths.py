"""Lengths of videos in the CSV of Charades: what is none is refused with its line."""

from pathlib import Path

import pytest

from taltool.data.formats.sniffing import open_content
from taltool.errors import DataError


@pytest.mark.parametrize("length", ["0", "-1", "1e999", "nan", ""])
def test_a_length_that_is_no_positive_finite_number_is_refused(length: str, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(f"id,actions,length\nA,c092 11.90 21.20,{length}\n")
    told = rf"c\.csv:2: duration '{length}' is not a positive, finite number"
    with pytest.raises(DataError, match=told), open_content(str(tmp_path / "c.csv"), "charades"):
        pass
