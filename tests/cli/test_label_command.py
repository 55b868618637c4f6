"""`taltool label` as its user runs it."""

import json

import pytest
from plugin.tiny_data import write_tiny_data
from proposal_streams import rows, stream

PROPOSALS = stream(("a", [[0, 10, 0.9], [20, 30, 0.5]], 40.0), ("b", [[0, 4, 0.8]], 9.0))
SCORES = {"results": {"a": [0.25, 0.5, 0.1], "b": [0.3, 0.2, 0.9]}, "class": ["Run", "Jump", "Dive"]}


@pytest.fixture
def classifier(tmp_path):
    path = tmp_path / "cls.json"
    path.write_text(json.dumps(SCORES))
    return path


def test_each_proposal_gets_the_best_classes_of_its_video(taltool, classifier):
    found = rows(taltool("label", "--classifier", classifier, "--top-k", "2", stdin=PROPOSALS))
    assert found["a"] == [(0, 10, 0.45, "Jump"), (20, 30, 0.25, "Jump"), (0, 10, 0.225, "Run"), (20, 30, 0.125, "Run")]
    assert [row[3] for row in found["b"]] == ["Dive", "Run"]


def test_square_root_and_weighted_scores(taltool, classifier):
    root = rows(taltool("label", "--classifier", classifier, "--top-k", "1", "--combine", "sqrt", stdin=PROPOSALS))
    words = ("label", "--classifier", classifier, "--top-k", "1", "--combine", "weighted", "--weight", "0")
    assert root["b"][0][2] == pytest.approx((0.8 * 0.9) ** 0.5)
    assert rows(taltool(*words, stdin=PROPOSALS))["b"] == [(0, 4, 0.8, "Dive")]


def test_overlapping_detections_vote(taltool, tmp_path):
    other = tmp_path / "other.jsonl"
    detections = [[0, 10, 0.4, "Run"], [0, 5, 0.8, "Jump"], [0, 10, 0.2, "Run"]]
    other.write_bytes(stream(("a", detections, 40.0), ("b", [[0, 4, 1.0, "Dive"]], 9.0)))
    result = taltool("label", "--from", other, stdin=PROPOSALS)
    found = rows(result)
    # Run 0.4 + 0.2, Jump 0.8 * 0.5; nothing overlaps the second proposal of a
    assert found["a"] == [(0, 10, pytest.approx(0.9 * 0.6), "Run"), (0, 10, pytest.approx(0.9 * 0.4), "Jump")]
    assert found["b"] == [(0, 4, 0.8, "Dive")]
    assert "1 proposals left out" in result.stderr.decode()


def test_the_best_detection_of_a_class_counts_where_asked(taltool, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_bytes(
        stream(("a", [[0, 10, 0.4, "Run"], [0, 5, 0.6, "Jump"]], 40.0), ("b", [[0, 4, 1.0, "Dive"]], 9.0))
    )
    words = ("label", "--from", other, "--vote", "best", "--combine", "weighted", "--weight", "0.7")
    found = rows(taltool(*words, stdin=PROPOSALS))
    scores = [pytest.approx(0.9**0.3 * 0.4**0.7), pytest.approx(0.9**0.3 * 0.3**0.7)]
    assert found["a"] == [(0, 10, scores[0], "Run"), (0, 10, scores[1], "Jump")]


def test_classes_stand_in_the_header(taltool, classifier):
    header = json.loads(taltool("label", "--classifier", classifier, stdin=PROPOSALS).stdout.splitlines()[0])
    assert header["taltool"]["classes"] == ["Run", "Jump", "Dive"]


def test_a_video_without_class_scores_is_an_error_unless_skipped(taltool, tmp_path):
    path = tmp_path / "cls.json"
    path.write_text(json.dumps({"a": {"class": "Run", "score": 0.5}}))
    refused = taltool("label", "--classifier", path, stdin=PROPOSALS)
    assert refused.returncode == 3
    assert "video 'b' is not in" in refused.stderr.decode()
    skipped = taltool("label", "--classifier", path, "--skip-missing", stdin=PROPOSALS)
    assert rows(skipped)["b"] == []
    assert "1 videos are not in" in skipped.stderr.decode()


def test_labels_are_only_replaced_when_asked(taltool, classifier):
    labelled = stream(("a", [[0, 1, 0.5, "Old"]], 4.0))
    refused = taltool("label", "--classifier", classifier, stdin=labelled)
    assert (refused.returncode, "--replace" in refused.stderr.decode()) == (3, True)
    found = rows(taltool("label", "--classifier", classifier, "--replace", "--top-k", "1", stdin=labelled))
    assert found["a"] == [(0, 1, 0.25, "Jump")]


def test_labels_are_kept_and_the_score_of_the_same_class_counts(taltool, classifier):
    """a: Run 0.25, Jump 0.5, Dive 0.1; Skate is no class of the classifier."""
    found = [[0, 9, 0.8, "Dive"], [0, 9, 0.6, "Jump"], [0, 9, 0.5, "Jump"], [2, 3, 0.9, "Skate"], [4, 5, 0.4, "Run"]]
    done = taltool("label", "--classifier", classifier, "--keep-labels", stdin=stream(("a", found, 9.0)))
    expected = [(0, 9, 0.3, "Jump"), (4, 5, 0.1, "Run"), (0, 9, 0.08, "Dive")]
    assert [(*row[:2], pytest.approx(row[2]), row[3]) for row in rows(done)["a"]] == expected
    assert "1 proposals left out" in done.stderr.decode()
    root = taltool(
        "label", "--classifier", classifier, "--keep-labels", "--combine", "sqrt", stdin=stream(("a", found, 9.0))
    )
    assert rows(root)["a"][0] == (0, 9, pytest.approx(0.3**0.5), "Jump")


def test_labels_are_kept_beside_the_votes_of_another_detector(taltool, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_bytes(stream(("a", [[0, 10, 0.6, "Run"], [0, 10, 0.2, "Jump"]], 40.0)))
    own = stream(("a", [[0, 10, 0.5, "Jump"]], 40.0))
    found = rows(taltool("label", "--from", other, "--keep-labels", stdin=own))
    assert found["a"] == [(0, 10, pytest.approx(0.5 * 0.2 / 0.8), "Jump")]


def test_labels_to_keep_must_be_there(taltool, classifier):
    refused = taltool("label", "--classifier", classifier, "--keep-labels", stdin=PROPOSALS)
    assert refused.returncode == 3
    assert "video 'a' has proposals without labels; --keep-labels wants labels to keep" in refused.stderr.decode()
    empty = stream(("a", [], 9.0))
    assert rows(taltool("label", "--classifier", classifier, "--keep-labels", stdin=empty)) == {"a": []}
    assert taltool("label", "--classifier", classifier, "--keep-labels", "--replace", stdin=PROPOSALS).returncode == 2


@pytest.mark.parametrize("words", [(), ("--classifier", "x", "--from", "y")])
def test_exactly_one_source_of_classes_is_wanted(taltool, words):
    result = taltool("label", *words, stdin=PROPOSALS)
    assert result.returncode == 2
    assert "one of both" in result.stderr.decode()


@pytest.mark.slow
def test_real_classifier_on_perfect_boundaries_scores_its_own_accuracy(taltool, shared, tmp_path):
    truth = json.loads((shared / "data/peer_outputs/anet13_sample_detection_prediction.json").read_text())
    for proposals in truth["results"].values():
        for proposal in proposals:
            del proposal["label"]
    (tmp_path / "boundaries.json").write_text(json.dumps(truth))
    scores = shared / "data/peer_outputs/anet13_tags_video_class_scores.json"
    labelled = taltool("label", tmp_path / "boundaries.json", "--classifier", scores)
    assert labelled.returncode == 0
    report = taltool(
        "evaluate",
        shared / "data/activitynet13_gt.json",
        "--preset",
        "activitynet13",
        "--format",
        "json",
        stdin=labelled.stdout,
    )
    # 0.885 of the videos have their right class first (the data's own README).
    assert json.loads(report.stdout)["metrics"]["average_mAP"] == pytest.approx(0.88, abs=0.02)


@pytest.mark.parametrize("label", [133, None])
def test_labels_that_are_no_names_are_refused_with_file_and_video(taltool, tmp_path, label):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"a": [{"label": label, "score": 17.66}], "b": [{"label": "Run", "score": 14.64}]}))
    done = taltool("label", "--classifier", path, stdin=PROPOSALS)
    assert (done.returncode, done.stdout) == (3, b"")
    said = f"taltool label: error: {path}: video 'a': label {label} is "
    assert done.stderr.decode().startswith(said)
    assert "not the name of a class" in done.stderr.decode()


def test_logits_do_not_pass_silently(taltool, tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"a": {"Run": 17.3}, "b": {"Run": 14.6}}))
    said = f"error: {path}: 2 of 2 videos have class scores above 1, video 'a' 17.3; are these logits? use --softmax"
    refused = taltool("label", "--classifier", path, "-q", stdin=PROPOSALS)
    assert (refused.returncode, refused.stdout) == (3, b"")
    assert said in refused.stderr.decode()
    assert taltool("label", "--classifier", path, "--softmax", "-q", stdin=PROPOSALS).stderr == b""


@pytest.mark.slow
def test_a_network_and_a_classifier_make_no_copies(taltool, tmp_path):
    """AMNet on ActivityNet: a location has a candidate of each class, and the class of the video takes their place."""
    data = write_tiny_data(tmp_path)
    words = ["model.width=16", "sampling.length=32", "training.epochs=1", "training.batch_size=4"]
    sets = [word for each in words for word in ("--set", each)]
    trained = taltool(
        "train", "-m", "amnet", "--preset", "activitynet13", *sets, "-o", tmp_path / "a", data.features, data.truth
    )
    assert trained.returncode == 0, trained.stderr
    names = list(json.loads(data.truth.read_text())["database"])
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps({"results": {name: [0.75, 0.25] for name in names}, "classes": ["run", "jump"]}))
    found = taltool("predict", "-m", tmp_path / "a", data.features).stdout
    of_preset, classes = ("nms", "--preset", "amnet-activitynet13"), ("label", "--classifier", scores)
    suppressed = taltool(*of_preset, stdin=found).stdout
    replaced = rows(taltool(*classes, "--replace", stdin=suppressed))
    kept = rows(taltool(*of_preset, "--class-wise", stdin=taltool(*classes, "--keep-labels", stdin=found).stdout))
    for detections in (*replaced.values(), *kept.values()):
        facts = [(start, end, label) for start, end, _, label in detections]
        assert len(facts) > 20
        assert len(set(facts)) == len(facts)
    places = [[row[:2] for row in each] for each in rows(taltool(*of_preset, stdin=found)).values()]
    assert any(len(set(each)) < len(each) for each in places)  # Without more ado they would have been copies.
