"""Streams of proposals that follow each other, as cat joins them, and the two versions of the stream."""

import json
import os
import re
import subprocess
import sys
import threading

import pytest
from project import PROJECT, shell
from proposal_streams import headers, held, stream, stream2

ONE = {"v1": ([(1, 5, 0.9, "Run"), (20, 26, 0.5, "Jump")], 60), "v2": ([(3, 9, 0.25, "Jump")], 60)}
TWO = {"v4": ([(3, 9, 0.75, "Dive")], 60), "v3": ([(1, 5, 0.8, "Jump"), (20, 26, 0.5, "Dive")], None)}
THREE = {"v5": ([(1, 5, 0.5, "Swim")], 60), "v0": ([], None)}
AGNOSTIC = {"a1": ([(1, 5, 0.9, None)], 60)}
ALL = ONE | TWO | THREE
ALL_CLASSES = ["Run", "Jump", "Dive", "Swim"]
END_OF_ONE = '{"end": {"videos": 2}}'


def of(videos):
    """The arguments of `stream` for what `held` tells of videos."""
    return [
        (video_id, [row for row in rows if row[3]] or [row[:3] for row in rows], duration)
        for video_id, (rows, duration) in videos.items()
    ]


@pytest.fixture
def folder(tmp_path):
    """Streams: one and two, of version 2 and different classes; three, of version 1; none, empty; agnostic."""
    files = {
        "one": stream2(*of(ONE), classes=["Run", "Jump"], videos=2, provenance=[{"tool": "first"}]),
        "two": stream2(*of(TWO), classes=["Dive", "Jump"], videos=2, provenance=[{"tool": "second"}]),
        "three": stream(*of(THREE)),
        "none": stream2(),
        "agnostic": stream2(*of(AGNOSTIC)),
    }
    for name, content in files.items():
        (tmp_path / f"{name}.jsonl").write_bytes(content)
    annotations = {
        video_id: {
            "duration": 60,
            "subset": "validation",
            "annotations": [{"segment": row[:2], "label": row[3]} for row in rows],
        }
        for video_id, (rows, _) in ALL.items()
    }
    (tmp_path / "gt.json").write_text(json.dumps({"database": annotations}))
    return tmp_path


def output(script, folder):
    """What a script writes, which must succeed."""
    done = shell(f"set -euo pipefail; {script}", folder)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "script",
    [
        "cat one.jsonl two.jsonl | taltool check -",
        "cat one.jsonl two.jsonl | gzip | taltool check -",
        "gzip one.jsonl two.jsonl; cat one.jsonl.gz two.jsonl.gz | taltool check -",
        "gzip one.jsonl two.jsonl; cat one.jsonl.gz two.jsonl.gz > both.jsonl.gz; taltool check both.jsonl.gz",
        "cat none.jsonl one.jsonl none.jsonl two.jsonl none.jsonl | taltool check -",
        "(cat one.jsonl; echo; cat two.jsonl) | taltool check -",
    ],
)
def test_joined_streams_are_whole_with_all_their_videos(script, folder):
    assert output(script, folder).endswith(b": ok: proposals, 4 videos, 6 proposals\n")


@pytest.mark.parametrize("order", [("one", "two", "three"), ("three", "one", "two"), ("two", "three", "one")])
def test_the_order_of_streams_and_versions_is_free(order, folder):
    script = f"cat {' '.join(f'{name}.jsonl' for name in order)} | taltool convert"
    assert held(output(script, folder)) == ALL


def test_evaluate_scores_the_videos_of_all_streams(folder):
    # Each action is found exactly, so every class has its average precision of 1 only if every stream was read.
    script = "cat one.jsonl two.jsonl three.jsonl | taltool evaluate gt.json --format json"
    report = json.loads(output(script, folder))
    assert (report["predictions"]["videos"], report["predictions"]["detections"]) == (5, 7)
    assert report["metrics"]["average_mAP"] == 1.0
    only_one = json.loads(output("taltool evaluate gt.json --format json one.jsonl", folder))
    assert only_one["metrics"]["average_mAP"] < 0.5


def test_info_counts_all_streams_and_tells_the_provenance_of_each(folder):
    facts = json.loads(output("cat one.jsonl two.jsonl three.jsonl | taltool info --format json", folder))
    assert (facts["videos"], facts["proposals"], facts["videos_with_duration"]) == (6, 7, 4)
    assert facts["proposals_of_class"] == {"Dive": 2, "Jump": 3, "Run": 1, "Swim": 1}
    assert facts["provenance"] == [{"tool": "first"}, {"tool": "second"}]


@pytest.mark.parametrize("to", ["jsonl", "jsonl1"])
def test_nms_writes_streams_that_the_next_command_reads(to, folder):
    # Nothing overlaps within a class, so suppression leaves all as it was.
    piped = output(
        f"cat one.jsonl two.jsonl three.jsonl | taltool nms --to {to} | tee out.jsonl | taltool check -", folder
    )
    assert piped == b"-: ok: proposals, 6 videos, 7 proposals\n"
    written = (folder / "out.jsonl").read_bytes()
    assert held(written) == ALL
    assert [step.get("command", step["tool"]) for step in headers(written)[0]["provenance"]] == [
        "first",
        f"taltool nms --to {to}",
    ]
    again = output("taltool nms out.jsonl", folder)
    assert held(again) == ALL


def test_convert_of_the_files_is_one_stream_of_the_same(folder):
    (header,) = headers(whole := output("taltool convert one.jsonl two.jsonl three.jsonl", folder))
    assert (header["classes"], header["videos"]) == (ALL_CLASSES, 6)
    assert [step["tool"] for step in header["provenance"]] == ["first", "second", "taltool"]
    assert held(whole) == held(output("cat one.jsonl two.jsonl three.jsonl | taltool convert", folder)) == ALL


def test_a_document_of_joined_streams_lists_the_classes_of_all(folder):
    document = json.loads(output("cat one.jsonl two.jsonl three.jsonl | taltool convert --to activitynet", folder))
    assert document["external_data"]["classes"] == ALL_CLASSES
    assert document["external_data"]["durations"] == dict.fromkeys(["v1", "v2", "v4", "v5"], 60)
    found = {key: [(*p["segment"], p["score"], p["label"]) for p in ps] for key, ps in document["results"].items()}
    assert found == {video_id: rows for video_id, (rows, _) in ALL.items()}


def test_fuse_takes_joined_streams(folder):
    script = "cat one.jsonl two.jsonl | taltool fuse --no-suppress - three.jsonl; "
    assert held(output(script, folder)) == ALL


@pytest.mark.parametrize("first", ["", "none.jsonl"])
def test_label_takes_proposals_and_detections_of_joined_streams(first, folder):
    agnostic = [("v3", [(1, 5, 0.5)], None), ("v1", [(1, 5, 0.5)], 60)]
    for number, video in enumerate(agnostic):
        (folder / f"part-{number}.jsonl").write_bytes(stream2(video))
    script = f"cat {first} one.jsonl two.jsonl > from.jsonl; cat part-*.jsonl | taltool label --from from.jsonl"
    assert held(output(script, folder)) == {"v3": ([(1, 5, 0.5, "Jump")], None), "v1": ([(1, 5, 0.5, "Run")], 60)}


REFUSED = {
    "cat one.jsonl two.jsonl one.jsonl": "-:10: video 'v1' comes a second time",
    "cat one.jsonl agnostic.jsonl": "-:6: video 'a1' has no labels, the stream before has labels",
    "cat agnostic.jsonl one.jsonl": "-:5: video 'v1' has labels, the stream before has no labels",
    "cat agnostic.jsonl three.jsonl": "-:5: video 'v5' has labels, the stream before has no labels",
    "cat one.jsonl; echo garbage": "-:5: not JSON",
    "cat one.jsonl; echo '[]'": "-:5: expected an object, found list",
    "cat one.jsonl; tail -1 one.jsonl": "-:5: after an end line only another stream may follow, header first",
    "cat one.jsonl; sed -n 2p two.jsonl": "-:5: after an end line only another stream may follow, header first",
    """cat one.jsonl; echo '{"video_id": "p", "proposals": []}'""": "-:5: after an end line only another stream may",
    "cat one.jsonl; echo '{\"results\": {}}'": "-:5: ",
    "sed -n 2p three.jsonl; cat one.jsonl": "-:2: a stream begins amid lines that belong to none",
    "head -3 one.jsonl; cat two.jsonl": "-:4: a stream begins before the one above has its end line",
    "cat one.jsonl; head -3 two.jsonl": "no end line after 2 videos",
    "cat one.jsonl; head -1 two.jsonl": "no end line after 0 videos",
    "cat one.jsonl; sed '/^{.end/s/2/3/' two.jsonl": "-:8: the end line says 3 videos, 2 came before",
    "cat one.jsonl; sed '1s/proposals/features/' two.jsonl": "-:5: expected a stream of proposals version 1 or 2",
    "gzip < one.jsonl; echo garbage": "the gzip file is broken",
    "gzip < one.jsonl; gzip < two.jsonl | head -c 60": "the gzip file is broken",
}


@pytest.mark.parametrize("script", REFUSED)
def test_what_is_no_stream_after_a_stream_is_refused_with_its_line(script, folder):
    done = shell(f"({script}) | taltool nms", folder)
    assert done.returncode == 3
    assert f"taltool nms: error: -: {REFUSED[script]}".replace("-: -:", "-:") in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert not re.search(rb'"end".*\n\Z', done.stdout), "what was written must not look whole"


@pytest.mark.parametrize("command", ["check -", "evaluate gt.json", "info", "convert -o out.json", "fuse - two.jsonl"])
def test_no_command_reads_over_what_follows_an_end_line(command, folder):
    done = shell(f"(cat one.jsonl; echo garbage) | taltool {command}", folder)
    assert done.returncode == 3
    assert b"-:5: not JSON" in done.stdout + done.stderr
    assert not (folder / "out.json").exists()


@pytest.mark.slow
def test_videos_without_proposals_go_with_labels_and_without(folder):
    empty = stream2(("e", [], 60))
    (folder / "empty.jsonl").write_bytes(empty)
    assert output("cat agnostic.jsonl empty.jsonl | taltool check -", folder).endswith(b" 2 videos, 1 proposals\n")
    assert output("cat empty.jsonl one.jsonl | taltool check -", folder).endswith(b" 3 videos, 3 proposals\n")
    assert held(output("cat agnostic.jsonl empty.jsonl | taltool nms", folder)) == AGNOSTIC | {"e": ([], 60)}


@pytest.mark.parametrize(("to", "name"), [("jsonl", "x.json"), ("jsonl1", "x.json"), ("activitynet", "x.jsonl")])
@pytest.mark.parametrize(
    "words",
    [
        "nms one.jsonl",
        "convert one.jsonl",
        "fuse --no-suppress one.jsonl none.jsonl",
        "label --replace --top-k 1 --from one.jsonl --combine weighted --weight 0 one.jsonl",
    ],
)
def test_every_command_writes_the_layout_that_is_asked_for_whatever_the_name(words, to, name, folder):
    written = output(f"taltool {words} --to {to} -o {name}; cat {name}", folder)
    if to == "activitynet":
        document = json.loads(written)
        assert document["external_data"]["classes"] == ["Run", "Jump"]
        assert document["external_data"]["durations"] == {"v1": 60, "v2": 60}
        found = document["results"]
        assert {key: [(*p["segment"], p["score"], p["label"]) for p in found[key]] for key in found} == {
            video_id: rows for video_id, (rows, _) in ONE.items()
        }
    else:
        (header,) = headers(written)
        assert (header["version"], header["classes"]) == (1 if to == "jsonl1" else 2, ["Run", "Jump"])
        assert held(written) == ONE


def test_plain_lines_wait_until_their_classes_are_known(folder):
    lines = b"".join(content.splitlines(True)[1] for content in (stream(*of(ONE)), stream(*of(THREE))))
    (folder / "plain.jsonl").write_bytes(lines)
    (header,) = headers(written := output("taltool nms plain.jsonl", folder))
    assert header["classes"] == ["Run", "Jump", "Swim"]
    assert held(written).keys() == {"v1", "v5"}


CROWD = [(number, number + 1, 0.5, "Run") for number in range(1000)]


@pytest.mark.parametrize("command", ["nms", "convert"])
def test_a_reader_that_leaves_early_is_no_error(command, folder):
    (folder / "long.jsonl").write_bytes(stream2(*((f"v{n}", CROWD, 999) for n in range(100)), classes=["Run"]))
    done = shell(f"taltool {command} -q long.jsonl | head -1; echo ${{PIPESTATUS[0]}}", folder)
    header, status = done.stdout.splitlines()
    assert (json.loads(header)["taltool"]["version"], status, done.stderr) == (2, b"0", b"")


@pytest.mark.parametrize("command", ["nms", "convert"])
def test_the_first_video_comes_out_before_the_last_goes_in(command):
    # More candidates than nms takes together.
    lines = stream2(*((f"v{n}", CROWD, 999) for n in range(100)), classes=["Run"]).splitlines(True)
    words = [sys.executable, "-m", "taltool", command, "-q"]
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    first_is_out, too_late = threading.Event(), threading.Event()
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:

        def feed():
            process.stdin.write(b"".join(lines[:-2]))
            process.stdin.flush()
            if not first_is_out.wait(30):
                too_late.set()
            process.stdin.write(b"".join(lines[-2:]))
            process.stdin.close()

        feeding = threading.Thread(target=feed)
        feeding.start()
        head = process.stdout.readline() + process.stdout.readline()
        first_is_out.set()
        rest = process.stdout.read()
        feeding.join()
    assert not too_late.is_set()
    assert list(held(head + rest)) == [f"v{n}" for n in range(100)]
