"""Progress as lines, on a clock that the test sets."""

import io
import json
import re
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
    ]


def test_plain_lines_say_hours_minutes_and_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    said = lines(clock, capsys, "plain", [(10, 1), (40, 9), (10, 90)])
    assert said == [
        "taltool train: 1/100 steps, 0:16:30 left",
        "taltool train: 10/100 steps, 0:06:40 left",
        "taltool train: 100/100 steps",
    ]


@pytest.mark.parametrize(("style", "seconds"), [("json", 1.0), ("plain", 10.0)])
def test_a_line_is_due_a_second_or_ten_after_the_last(
    style: str, seconds: float, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [(0.9 * seconds, 1), (0.1 * seconds, 1), (0.9 * seconds, 1), (0.2 * seconds, 1)]
    clock.now = 0.0  # So that these parts add up without rounding.
    assert len(lines(clock, capsys, style, steps)) == 2


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
        "taltool train: 2/4 steps, 0:00:10 left; epoch 1  loss 0.1235",
    ]


def test_a_log_hears_of_an_epoch_once_and_of_a_long_one_every_minute(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Epochs of 10 steps: of 5 s together are told at the second's end, of 90 s after 60 and at the end."""
    with TerminalReporter("taltool train", progress="plain").track("train", 40, "steps", of_round=10) as task:
        for seconds in (0.5, 0.5, 9, 9):
            for _ in range(10):
                clock.now += seconds
                task.advance(1)
    said = [line.split()[2] for line in capsys.readouterr().err.splitlines()]
    assert said == ["20/40", "27/40", "30/40", "37/40", "40/40"]


def test_a_line_of_a_log_has_as_many_whole_values_as_a_hundred_characters_hold(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with TerminalReporter("taltool train", progress="plain").track("train", 40, "steps") as task:
        task.advance(40, epoch=1, **{f"loss_{number}": number / 7 for number in range(1, 12)})
    (line,) = capsys.readouterr().err.splitlines()
    values = "loss_1 0.1429  loss_2 0.2857  loss_3 0.4286  loss_4 0.5714"
    assert line == f"taltool train: 40/40 steps; epoch 1  {values}"
    assert len(line) <= 100 < len(f"{line}  loss_5 0.7143")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_bar_count_and_time_left_fit_every_terminal_and_values_are_whole(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line above has bar, steps of steps and time left; the one below names values, none of them cut."""
    monkeypatch.setenv("COLUMNS", str(width))
    losses = {f"loss_of_term_{number}": number / 7 for number in range(12)}
    with progress._progress_bar() as bar:
        task = bar.add_task("train", total=1200, unit="steps", status={"epoch": 3, "loss": 1.25} | losses)
        bar.update(task, advance=300)
        bar.console.file = shown = io.StringIO()
        bar.console.print(*bar.get_renderables())
        bar.console.file = io.StringIO()
    above, below = shown.getvalue().splitlines()
    assert re.fullmatch(r"train [━╸╺ ]{5,} +300/1200 steps -:--:-- *", above)
    assert re.fullmatch(r"epoch 3  loss 1.25(  loss_of_term_\d+ (0|[\d.]{5,6}))*", below.rstrip())
    assert width - len("  loss_of_term_11 0.1429") < len(below.rstrip()) <= width
