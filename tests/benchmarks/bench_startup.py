"""How long commands take to start, against a plain import of what every command needs; at most twice is the aim."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PLAIN = ["-c", "import typer, rich, numpy"]
COMMANDS = (["--help"], ["nms", "--help"], ["evaluate", "--help"], ["convert", "--help"], ["info", "--help"])
REPEATS = 9


def seconds(words: list[str]) -> float:
    """The time that Python with these words takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=PROJECT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print the median ratio of each command; the two are timed in turn, so that a busy machine slows both."""
    seconds(PLAIN)
    for words in COMMANDS:
        pairs = [(seconds(["-m", "taltool", *words]), seconds(PLAIN)) for _ in range(REPEATS)]
        ratio = statistics.median(ours / plain for ours, plain in pairs)
        ours, plain = min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)
        print(
            f"taltool {' '.join(words):<16} {ratio:5.2f} x  (best {ours * 1000:4.0f} ms, plain {plain * 1000:4.0f} ms)"
        )


if __name__ == "__main__":
    main()
