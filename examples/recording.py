"""Records the terminal of the README: python examples/recording.py FOLDER .github/recording.svg

FOLDER is what examples/quickstart.sh made. The commands run there; what is drawn is what they print.
"""

import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

COMMANDS = (
    "taltool predict -q --model afsd videos/motion_005.mp4 --nms --min-score 0.3 --to vtt",
    "taltool predict -q --model afsd features.h5 --ground-truth gt.json --subset validation |\n"
    "    taltool nms -q | taltool evaluate gt.json",
)
COLUMNS = 95


def main(folder: str, output: str) -> None:
    """Run the commands one after the other and draw what a terminal would show."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        for command in COMMANDS:
            environment = os.environ | {"COLUMNS": str(COLUMNS)}
            done = subprocess.run(
                command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=True
            )
            console.print(Text(f"$ {command}", style="bold green"))
            console.print(Text(f"{done.stderr}{done.stdout.rstrip()}\n"))
        console.save_svg(output, title="taltool")


if __name__ == "__main__":
    main(*sys.argv[1:])
