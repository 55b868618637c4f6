"""Progress as lines, on a clock that the test sets."""

import json
from types import SimpleNamespace

import pytest

from taltool.cli import progress
from taltool.cli.progress import TerminalReporter


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def lines(
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    style: str,
    steps: list[tuple[float, float]],
    total: float | None = 100,
) -> list[str]:
    """What is said of work that does each (units) in so many seconds."""
    with TerminalReporter("taltool train", progress=style).track("train", total, "steps") as task:
        for seconds, units in steps:
            clock.now += seconds
            task.advance(units)
    return capsys.readouterr().err.splitlines()


def test_the_time_left_is_what_is_left_at_the_speed_since_the_last_line(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """20 of 100 in 10 s leave 80 at 2 a second; 10 more in 10 s leave 70 at 1 a second; then all is done."""
    found = [json.loads(line) for line in lines(clock, capsys, "json", [(10, 20), (10, 10), (35, 70)])]
    assert [(each["done"], each["seconds"], each.get("seconds_left")) for each in found] == [
        (20, 10, 40),
        (30, 20, 70),
        (100, 55, None),
        (100, 55, None),
    ]


def test_plain_lines_say_hours_minutes_and_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(clock, capsys, "plain", [(10, 1), (40, 9), (10, 90)])
    assert said == [
        "taltool train: train: 1/100 steps, 0:16:30 left",
        "taltool train: train: 10/100 steps, 0:06:40 left",
        "taltool train: train: 100/100 steps",
        "taltool train: train: 100/100 steps",
    ]


@pytest.mark.parametrize(("style", "seconds"), [("json", 1.0), ("plain", 10.0)])
def test_a_line_is_due_a_second_or_ten_after_the_last(
    style: str, seconds: float, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [(0.9 * seconds, 1), (0.1 * seconds, 1), (0.9 * seconds, 1), (0.2 * seconds, 1)]
    clock.now = 0.0  # So that these parts add up without rounding.
    assert len(lines(clock, capsys, style, steps)) == 2 + 1


@pytest.mark.parametrize(("total", "step"), [(None, (10, 20)), (100, (10, 0)), (100, (0.5, 20))])
def test_no_time_left_is_guessed_without_a_total_or_from_nothing_or_half_a_second(
    total: float | None, step: tuple[float, float], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    said = lines(clock, capsys, "json", [step], total)
    assert said
    assert all("seconds_left" not in json.loads(line) for line in said)


def test_progress_carries_what_it_is_told_beside_the_count(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalReporter("taltool train", progress="plain").track("train", 4, "steps") as task:
        clock.now += 10
        task.advance(2, epoch=1, loss=0.123456)
    assert capsys.readouterr().err.splitlines() == [
        "taltool train: train: 2/4 steps epoch=1 loss=0.1235, 0:00:10 left",
        "taltool train: train: 2/4 steps epoch=1 loss=0.1235",
    ]
