"""The examples of taltool-proposals(5), which are scripts of jq and taltool, on a file of two streams joined."""

import json
import re
import shutil

import pytest
from project import PROJECT, shell
from proposal_streams import stream2

PAGE = PROJECT / "man/man5/taltool-proposals.5"
ONE = stream2(
    ("v 1", [(1, 5, 0.9, "Run"), (20, 26.5, 0.25, "Jump")], 60), ("v2", [], 60), classes=["Jump", "Run"], videos=2
)
TWO = stream2(("v3", [(3, 9, 0.75, "High Dive")], 60), classes=["High Dive", "Jump"])
INSTANCES = {"v 1": [([1, 5], "Run"), ([20, 26.5], "Jump")], "v2": [], "v3": [([3, 9], "High Dive")]}

COUNTS = "v 1 2\nv2 0\nv3 1\n"
ROWS = "1\t5\t0.9\tRun\n20\t26.5\t0.25\tJump\n3\t9\t0.75\tHigh Dive\n"
# What the commands under each introduction print, in percent where they end with evaluate: the detection of one of
# the three classes is not above 0.5.
PRINTED = {
    "The number of proposals of each video:": COUNTS * 2,
    "Only the detections above 0.5, header and end line kept:": ["66.67", "66.67"],
    "Start, end, score and name of the label of each detection:": ROWS * 2,
    "The predictions of several machines, joined:": ["100.00"],
}


def examples():
    """The scripts of the page by their introductions, as a terminal shows them."""
    text = PAGE.read_text(encoding="utf-8").partition("\n.SH EXAMPLES\n")[2].partition("\n.SH")[0]
    found = re.findall(r"(?m)^([^.\n].*)\n\.PP\n\.nf\n\.RS\n((?:.*\n)*?)\.RE\n\.fi$", text)
    return {intro: script.replace(r"\-", "-").replace(r"\e", "\\") for intro, script in found}


def test_every_example_of_the_page_is_run():
    assert examples().keys() == PRINTED.keys()
    assert PAGE.read_text(encoding="utf-8").partition("\n.SH EXAMPLES\n")[2].count("\n.nf\n") == len(PRINTED)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize("intro", PRINTED)
def test_the_examples_print_what_they_say(intro, tmp_path):
    (tmp_path / "part-1.jsonl").write_bytes(ONE)
    (tmp_path / "part-2.jsonl").write_bytes(TWO)
    (tmp_path / "detections.jsonl").write_bytes(ONE + TWO)
    database = {
        video_id: {"duration": 60, "annotations": [{"segment": pair, "label": label} for pair, label in instances]}
        for video_id, instances in INSTANCES.items()
    }
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    done = shell(f"set -euo pipefail; {examples()[intro]}", tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    wanted, printed = PRINTED[intro], done.stdout.decode()
    if isinstance(wanted, str):
        # Version 1 is written by taltool, whose numbers have a decimal point; jq 1.7 and later keep it.
        assert re.sub(r"\.0\b", "", printed) == wanted
    else:
        assert re.findall(r"(?m)^- .*?([\d.]+)$", printed) == wanted
