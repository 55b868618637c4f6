"""Reports on terminals of any width: words and numbers are whole, columns go on below."""

import pytest

from taltool.cli.reports import report
from taltool.cli.reports.report import Table, plain, print_facts, print_table

TABLE = Table(
    "mAP in percent at tIoU",
    ["file", "0.30", "0.50", "average"],
    [["good.json", "100.00", "75.00", "87.50"], ["b.json", "25.00", "5.00", "15.00"]],
)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (
            33,
            """\
file         0.30   0.50  average
good.json  100.00  75.00    87.50
b.json      25.00   5.00    15.00""",
        ),
        (
            32,
            """\
file         0.30   0.50
good.json  100.00  75.00
b.json      25.00   5.00
file       average
good.json    87.50
b.json       15.00""",
        ),
        (
            17,
            """\
file
    0.30   0.50
good.json
  100.00  75.00
b.json
   25.00   5.00
file
  average
good.json
    87.50
b.json
    15.00""",
        ),
    ],
)
def test_columns_that_do_not_fit_go_on_below_with_the_first_one_again(width: int, expected: str) -> None:
    assert plain(TABLE, width) == expected
    assert max(map(len, expected.splitlines())) <= width


def test_what_is_told_first_is_folded_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = [
        ("subset", "one"),
        ("predictions", "d.json sha256 0123456789abcdef0123"),
        ("", "left out: 3 of 4 detections"),
    ]
    print_facts(facts)
    assert capsys.readouterr().out == (
        "subset       one\npredictions  d.json sha256 0123456789abcdef0123\n             left out: 3 of 4 detections\n"
    )
    monkeypatch.setattr(report, "_width", lambda: 33)
    print_facts(facts)
    assert capsys.readouterr().out == (
        "subset       one\npredictions  d.json sha256\n             0123456789abcdef0123\n"
        "             left out: 3 of 4\n             detections\n"
    )


def test_a_title_is_folded_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(report, "_width", lambda: 17)
    print_table(Table("mAP in percent at tIoU", ["a", "b"], [["1", "2"]]))
    assert capsys.readouterr().out == "\nmAP in percent at\ntIoU\na  b\n1  2\n"
