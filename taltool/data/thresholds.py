"""tIoU thresholds as the user wrote them: 0.4 is the literal 0.4, never a rounding result of a range."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from taltool.errors import UsageError


@dataclass(frozen=True)
class Thresholds:
    """names as printed ("0.30", "0.125"), values the float64 nearest to each; text what the user wrote."""

    text: str
    names: tuple[str, ...]
    values: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.values)


def parse_thresholds(text: str, option: str = "--tiou") -> Thresholds:
    """Read "0.5,0.75" or "0.3:0.7:0.1" (start:stop:step, both ends included), or a mixture with commas.

    Raises UsageError, naming `option`, for anything else, for values outside (0, 1], and for a value given twice.
    """
    values = [value for part in text.split(",") for value in _part(part.strip(), f"{option} {text}")]
    for value in values:
        if not 0 < value <= 1:
            raise UsageError(f"{option} {text}: a tIoU lies above 0 and at most at 1, not at {value}")
    if len(set(values)) < len(values):
        raise UsageError(f"{option} {text}: a threshold is given twice")
    return Thresholds(text, tuple(map(_name, values)), tuple(map(float, values)))


def _part(part: str, where: str) -> list[Decimal]:
    try:
        numbers = [Decimal(word) for word in part.split(":")]
    except InvalidOperation:
        raise UsageError(f"{where}: '{part}' is neither a number nor start:stop:step") from None
    if not all(number.is_finite() for number in numbers):
        raise UsageError(f"{where}: '{part}' is not finite")
    if len(numbers) == 1:
        return numbers
    if len(numbers) != 3:
        raise UsageError(f"{where}: '{part}' is not start:stop:step, such as 0.3:0.7:0.1")
    start, stop, step = numbers
    if step <= 0 or stop < start:
        hint = f" (did you mean {start}:{step}:{stop}?)" if start < step and stop > 0 else ""
        raise UsageError(f"{where}: a range is start:stop:step with start <= stop and a positive step{hint}")
    count = int((stop - start) / step) + 1
    if count > 1000:
        raise UsageError(f"{where}: {count} thresholds are too many")
    return [start + number * step for number in range(count)]


def _name(value: Decimal) -> str:
    exact = format(value.normalize(), "f")
    return exact if len(exact.partition(".")[2]) >= 2 else format(value, ".2f")
