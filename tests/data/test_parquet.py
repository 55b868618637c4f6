"""Parquet tables: said what is missing where pyarrow is, and read by pandas where it is there.

Where pyarrow is installed the contract tests ask this format too. It is not in the extra `test`, being as large as all
the rest of it.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from taltool.data.convert import convert
from taltool.errors import DataError, UsageError

ROWS = "video_id,start,end,label\nv,1,2,Dive\nw,0.25,0.5,Run\nv,3,3,Run\n"


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.csv").write_text(ROWS)
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    for arguments in ([tmp_path / "a.csv", tmp_path / "a.parquet"], [tmp_path / "b.parquet", tmp_path / "b.csv"]):
        with pytest.raises(UsageError, match=r"Parquet needs pyarrow: pip install 'taltool\[parquet\]'"):
            convert(arguments[0], output=arguments[1])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.csv", "b.parquet"]


if find_spec("pyarrow"):

    def test_another_reader_sees_typed_columns(tmp_path: Path) -> None:
        import pyarrow.parquet

        (tmp_path / "a.csv").write_text(ROWS)
        convert(tmp_path / "a.csv", output=tmp_path / "a.parquet", durations={"v": 9.5}, subset="training")
        table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
        assert [f"{each.name}: {each.type}" for each in table.schema] == [
            "video_id: string",
            "start: double",
            "end: double",
            "label: string",
            "duration: double",
            "subset: string",
        ]
        # The rows of a video stand together, as everywhere.
        assert table.to_pydict()["video_id"] == ["v", "v", "w"]
        assert table.to_pydict()["duration"] == [9.5, 9.5, None]

    def test_columns_of_others_are_read_by_name_whatever_their_type(tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        label = pa.array(["Dive", None, "Run"]).dictionary_encode()
        columns = {
            "score": [1, 0, 2],
            "end": pa.array([2, 3, 4], pa.int16()),
            "start": pa.array([1.5, 0, 4], pa.float32()),
        }
        table = pa.table({"who": ["x"] * 3, "label": label, "video_id": ["v", "w", "v"], **columns})
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        done = convert(tmp_path / "a.parquet", output=tmp_path / "b.jsonl", provenance=False)
        assert (done.kind, done.left_out) == ("proposals", ("the columns who",))
        assert '"segments":[[4.0,4.0],[1.5,2.0]],"scores":[2.0,1.0]' in (tmp_path / "b.jsonl").read_text()

    @pytest.mark.parametrize(
        ("columns", "complaint"),
        [
            ({"video_id": ["v"], "start": [1.0]}, "no column 'end'"),
            ({"video_id": [7], "start": [1.0], "end": [2.0], "label": ["a"]}, "row 1: video_id 7 is not a text"),
            ({"video_id": ["v"], "start": ["1"], "end": [2.0], "label": ["a"]}, "row 1: start '1' is not a number"),
            ({"video_id": ["v"], "start": [3.0], "end": [2.0], "label": ["a"]}, "row 1: .* ends before it starts"),
            ({"video_id": ["v"], "start": [float("nan")], "end": [2.0], "label": ["a"]}, "row 1: .* is not finite"),
            ({"video_id": ["v"], "start": [1.0], "end": [2.0]}, "row 1: no label"),
            ({"video_id": ["v"], "start": [1.0], "end": [2.0], "duration": [0.0]}, r"row 1: duration '0\.0' is not"),
            (
                {
                    "video_id": ["v"] * 2,
                    "start": [1.0] * 2,
                    "end": [2.0] * 2,
                    "label": ["a"] * 2,
                    "duration": [3.0, 4.0],
                },
                r"row 2: video 'v' lasts 4\.0 s, and 3\.0 s above",
            ),
        ],
    )
    def test_a_table_that_is_broken_is_refused_with_its_row(columns: dict, complaint: str, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
        with pytest.raises(DataError, match=rf"a\.parquet: {complaint}"):
            convert(tmp_path / "a.parquet", output=tmp_path / "b.csv")

    def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text(ROWS)
        convert(tmp_path / "a.csv", output=tmp_path / "a.parquet")
        (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
        with pytest.raises(DataError, match=r"b\.parquet: not a whole Parquet file .* cut short"):
            convert(tmp_path / "b.parquet", output=tmp_path / "b.csv")

    def test_a_page_that_is_broken_is_told_by_its_file(tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text(ROWS)
        convert(tmp_path / "a.csv", output=tmp_path / "a.parquet")
        content = (tmp_path / "a.parquet").read_bytes()
        (tmp_path / "b.parquet").write_bytes(content[:4] + b"\xff" * 60 + content[64:])
        with pytest.raises(DataError, match=r"b\.parquet: broken"):
            convert(tmp_path / "b.parquet", output=tmp_path / "b.csv")
