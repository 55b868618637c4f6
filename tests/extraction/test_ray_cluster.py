"""Extraction on a Ray cluster of two nodes on this machine, one of which is lost half-way."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from project import PROJECT
from short_videos import STRIDE, sources, write_video

from taltool.errors import PartialFailure, UsageError
from taltool.extraction import extract as stage
from taltool.reporting import Reporter
from taltool.video.sources import VideoSource

VIDEOS = 24
extract = partial(stage.extract, stride=STRIDE, jobs=1, provenance=False)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster whose head only directs, and two nodes of one processor each; yields (cluster, nodes)."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="needs the extra `ray`")
    memory = {"object_store_memory": 80 << 20}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    yield cluster, [cluster.add_node(num_cpus=1, **memory) for _ in range(2)]
    cluster.shutdown()


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number in range(VIDEOS):
        write_video(folder / f"{number:02d}.mp4", 200 + number, seed=number)
    return folder


class KillsANode(Reporter):
    """Kills a node of the cluster as soon as a part of the videos is done."""

    def __init__(self, cluster: Any, node: Any) -> None:
        self.cluster, self.node, self.done, self.killed_after = cluster, node, 0, 0

    def track(self, what: str, total: float | None = None, unit: str = "videos", of_round: int = 1) -> Any:
        reporter = self

        class Counting:
            def __enter__(self) -> "Counting":
                return self

            def __exit__(self, *error: object) -> None: ...

            def advance(self, amount: float = 1, **status: object) -> None:
                reporter.done += 1
                if reporter.done == VIDEOS // 3:
                    reporter.cluster.remove_node(reporter.node, allow_graceful=False)
                    reporter.killed_after = reporter.done

        return Counting()


@pytest.mark.slow
def test_a_node_that_is_lost_half_way_changes_nothing_in_the_result(videos: Path, nodes: Any, tmp_path: Path) -> None:
    cluster, workers = nodes
    extract(videos, output=tmp_path / "alone.h5")
    listener = KillsANode(cluster, workers[0])
    begun = time.monotonic()
    extract(videos, output=tmp_path / "cluster.h5", engine=f"ray:{cluster.address}", reporter=listener)
    print(f"{VIDEOS} videos, a node lost after {listener.killed_after}: {time.monotonic() - begun:.1f} s")
    assert 0 < listener.killed_after < VIDEOS
    assert (tmp_path / "cluster.h5").read_bytes() == (tmp_path / "alone.h5").read_bytes()
    assert not (tmp_path / "cluster.h5.partial").exists()


@pytest.mark.slow
def test_a_command_that_is_killed_continues_on_the_cluster(videos: Path, nodes: Any, tmp_path: Path) -> None:
    cluster, _ = nodes
    words = ["extract", str(videos), "--engine", f"ray:{cluster.address}", "--no-provenance", "--stride", "8", "-o"]
    command = [sys.executable, "-m", "taltool", *words, str(tmp_path / "f.h5")]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    killed = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    while killed.poll() is None and len(list((tmp_path / "f.h5.partial").glob("*.video"))) < VIDEOS // 3:
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    assert not (tmp_path / "f.h5").exists()
    again = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert b"videos are done already" in again.stderr
    extract(videos, output=tmp_path / "alone.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "alone.h5").read_bytes()


@pytest.mark.slow
def test_a_video_that_cannot_be_read_fails_alone_on_a_cluster(videos: Path, nodes: Any, tmp_path: Path) -> None:
    cluster, _ = nodes
    some = [*sources(videos)[:3], VideoSource("gone", "/nowhere/gone.mp4")]
    with pytest.raises(PartialFailure, match="1 of 4 videos failed: gone"):
        extract(*some, output=tmp_path / "cluster.h5", engine=f"ray:{cluster.address}")
    extract(*some[:3], output=tmp_path / "alone.h5")
    assert (tmp_path / "cluster.h5").read_bytes() == (tmp_path / "alone.h5").read_bytes()


@pytest.mark.slow
def test_wrong_settings_and_an_absent_cluster_are_told(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 3 frames"):
        extract(videos, output=tmp_path / "f.h5", window=2, engine="ray:1.2.3.4:5")


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    source = VideoSource("v", str(write_video(tmp_path / "v.mp4", 20)))
    with pytest.raises(UsageError, match=r"taltool\[ray\]"):
        extract(source, output=tmp_path / "f.h5", engine="ray")
