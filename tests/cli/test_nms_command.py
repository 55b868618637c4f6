"""`taltool nms` as its user runs it."""

import json
import os
import random
import subprocess
import sys

import brute_force_nms as twin
import pytest
from project import PROJECT
from proposal_streams import rows, stream

EXAMPLE = [[0, 10, 0.9], [1, 11, 0.8], [8, 18, 0.7], [20, 30, 0.6]]


def test_default_is_soft_gaussian_with_half_a_sigma(taltool):
    found = rows(taltool("nms", stdin=stream(("v", EXAMPLE, 30.0))))["v"]
    assert [row[:2] for row in found] == [(0, 10), (8, 18), (20, 30), (1, 11)]
    assert [row[2] for row in found] == pytest.approx([0.9, 0.682928, 0.6, 0.197055], abs=1e-6)


def test_help_and_page_begin_with_the_name_of_the_method(taltool):
    help_page = taltool("nms", "--help").stdout.decode()
    assert "non-maximum suppression" in help_page.split("\n\n")[1]
    page = (PROJECT / "man/man1/taltool-nms.1").read_text().replace("\\-", "-")
    assert "non-maximum suppression" in page.split(".SH SYNOPSIS")[0]


def test_presets_are_settings_and_options_win_over_them(taltool):
    source = stream(("v", EXAMPLE, 30.0))
    plain = taltool("nms", "--sigma", "0.85", "--min-score", "1e-9", "--no-provenance", stdin=source)
    named = taltool("nms", "--preset", "afsd-thumos14", "--sigma", "0.85", "--no-provenance", stdin=source)
    assert plain.returncode == named.returncode == 0
    assert plain.stdout == named.stdout
    assert [row[:2] for row in rows(named)["v"]] == [(0, 10), (8, 18), (20, 30), (1, 11)]
    listed = taltool("nms", "--list-presets").stdout.decode()
    assert "afsd-thumos14: --method soft-gaussian --sigma 0.5 --min-score 0.001" in listed


def test_real_detections_equal_the_plain_loop(taltool, shared, tmp_path):
    source = json.loads((shared / "data/peer_outputs/thumos14_turn_c3d_scnn.json").read_text())
    some = dict(list(source["results"].items())[:6])
    (tmp_path / "some.json").write_text(json.dumps({"results": some}))
    found = rows(taltool("nms", "--top-k", "50", "--sigma", "0.4", tmp_path / "some.json"))
    names = sorted({p["label"] for proposals in some.values() for p in proposals})
    for video_id, proposals in some.items():
        crowd = [(*p["segment"], p["score"], names.index(p["label"])) for p in proposals]
        expected = twin.suppress(crowd, "soft-gaussian", 0.0, 0.4, top_k=50)
        assert [row[:2] for row in found[video_id]] == [row[:2] for row in expected]
        assert [row[3] for row in found[video_id]] == [names[row[3]] for row in expected]
        assert [row[2] for row in found[video_id]] == pytest.approx([row[2] for row in expected], abs=1e-12)


@pytest.fixture
def crowds(tmp_path):
    """A file of 200 videos of up to 150 overlapping proposals of three classes, many of them equally good."""
    rng = random.Random(0)

    def proposal():
        start = round(rng.uniform(0, 50), 2)
        return [start, start + rng.randint(1, 20), rng.randint(1, 99) / 100, rng.choice("ABC")]

    videos = [(f"v{number}", [proposal() for _ in range(rng.randint(0, 150))], 80.0) for number in range(200)]
    (tmp_path / "crowds.jsonl").write_bytes(stream(*videos))
    return tmp_path / "crowds.jsonl"


@pytest.mark.slow
def test_output_does_not_depend_on_jobs_or_on_the_way_in(taltool, crowds, tmp_path):
    alone = taltool("nms", "--top-k", "100", "--no-provenance", crowds)
    together = taltool("nms", "--top-k", "100", "--no-provenance", "--jobs", "3", stdin=crowds.read_bytes())
    to_file = taltool("nms", "--top-k", "100", "--no-provenance", crowds, "-o", tmp_path / "out.jsonl")
    assert alone.returncode == together.returncode == to_file.returncode == 0
    assert len(rows(alone)) == 200
    assert alone.stdout == together.stdout == (tmp_path / "out.jsonl").read_bytes()


def test_header_keeps_classes_and_appends_provenance(taltool):
    result = taltool("nms", stdin=stream(("v", [[0, 1, 0.5, "B"]], None), classes=["B", "A"]))
    header = json.loads(result.stdout.splitlines()[0])["taltool"]
    assert header["classes"] == ["B", "A"]
    assert [step["command"] for step in header["provenance"]] == ["taltool nms"]


def test_copies_go_with_dedup(taltool):
    source = stream(("v", [[0, 5, 0.5, "A"], [0, 5, 0.9, "A"], [0, 5, 0.7, "B"]], 9.0))
    found = rows(taltool("nms", "--dedup", stdin=source))["v"]
    assert found == [(0, 5, 0.9, "A"), (0, 5, 0.7, "B")]


def test_ties_are_ordered_by_label_name_not_by_arrival(taltool):
    source = stream(("v", [[0, 5, 0.5, "B"], [0, 5, 0.5, "A"]], 9.0))
    assert [row[3] for row in rows(taltool("nms", "--agnostic", "--method", "hard", stdin=source))["v"]] == ["A"]


def test_videos_with_and_without_labels_and_without_proposals_go_through(taltool):
    source = stream(("a", [[0, 5, 0.5, "B"]], 9.0), ("b", [[0, 5, 0.5]], None), ("c", [], 9.0))
    assert rows(taltool("nms", stdin=source)) == {"a": [(0, 5, 0.5, "B")], "b": [(0, 5, 0.5, None)], "c": []}


def test_voting_moves_boundaries(taltool):
    source = stream(("v", [[0, 10, 0.9], [0, 8, 0.5]], 30.0))
    found = rows(taltool("nms", "--method", "hard", "--voting", "0.7", stdin=source))["v"]
    assert found[0][:2] == pytest.approx((0, (0.9 * 10 + 0.4 * 8) / 1.3))


@pytest.mark.parametrize(
    ("words", "source", "status", "said"),
    [
        (("--method", "soft-width"), stream(("v", EXAMPLE, None)), 3, "video 'v' has no duration"),
        ((), stream(("v", [[0, 1, -0.5]], 5.0)), 3, "-0.5 is negative"),
        ((), stream(("v", EXAMPLE, 5.0), end=False), 3, "no end line"),
        (
            (),
            stream(("v", [[9.2, 4.0, 0.5]], 5.0)),
            3,
            "-:2: video 'v': segment [9.2, 4.0] of proposal 1 ends before",
        ),
        (("--sigma", "0"), b"", 2, "--sigma 0"),
        (("--method", "hard", "--sigma", "1"), b"", 2, "--sigma belongs to"),
        (("--preset", "afsd-thumos"), b"", 2, "did you mean 'afsd-thumos14'"),
        (("--method", "soft"), b"", 2, "soft-gaussian"),
    ],
)
def test_errors_say_what_is_wrong(taltool, words, source, status, said):
    result = taltool("nms", *words, stdin=source)
    assert result.returncode == status
    assert said in result.stderr.decode()
    assert b"Traceback" not in result.stderr


def test_a_reader_that_leaves_early_is_no_error(crowds):
    """What is written is more than a pipe holds (64 KiB), so that the writer sees its reader go."""
    pipe = f"set -o pipefail; {sys.executable} -m taltool nms -q {crowds} | head -1"
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    result = subprocess.run(["bash", "-c", pipe], env=env, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert json.loads(result.stdout)["taltool"]["kind"] == "proposals"


def test_neither_torch_nor_other_heavy_packages_are_imported(taltool):
    code = (
        "import sys; from taltool.cli.main import main; sys.argv = ['taltool', 'nms', '-q']; assert main() == 0\n"
        "print([m for m in ('torch', 'pandas', 'scipy', 'matplotlib', 'h5py') if m in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, input=stream(("v", EXAMPLE, 30.0)), capture_output=True, check=True)
    assert result.stderr.decode().strip() == "[]"


@pytest.mark.slow
def test_memory_stays_flat_while_the_stream_is_a_hundred_times_longer(tmp_path):
    def peak(videos: int) -> int:
        lines = [f'{{"video_id": "v{n}", "proposals": {crowd}}}\n' for n in range(videos)]
        path = tmp_path / f"{videos}.jsonl"
        path.write_text("".join(lines))
        command = f"{sys.executable} -m taltool nms -q --top-k 100 {path} -o /dev/null"
        measured = (
            "import resource, subprocess; "
            f"subprocess.run({command.split()!r}, check=True); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", measured], capture_output=True, check=True)
        return int(done.stdout)

    crowd = json.dumps([{"segment": [n / 7, n / 7 + 5], "score": (n * 7919 % 1000) / 1000} for n in range(1000)])
    # The unit of ru_maxrss differs between systems, the ratio does not.
    assert peak(10_000) < 1.2 * peak(100)
