"""Devices, the deterministic mode, and compiling."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from plugin.tiny_data import write_tiny_data
from project import PROJECT

from taltool.errors import UsageError
from taltool.experiment.device import checked_device, deterministic


def test_a_device_that_torch_lacks_is_told() -> None:
    assert checked_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="--device gpu: torch cannot compute there"):
        checked_device("gpu")


def test_the_deterministic_mode_ends_with_its_block() -> None:
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()


def test_an_operation_without_a_deterministic_version_is_told() -> None:
    with pytest.raises(UsageError, match="--deterministic: median does not have a deterministic"), deterministic(True):
        raise RuntimeError("median does not have a deterministic implementation, but you set ...\nmore")
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError, match="size mismatch"), deterministic(True):
        raise RuntimeError("size mismatch")


@pytest.mark.slow
def test_compiling_without_a_compiler_is_told(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    paths = os.pathsep.join([str(PROJECT), str(PROJECT / "tests" / "plugin")])
    done = subprocess.run(
        [sys.executable, "-m", "taltool", "train", "-m", "tiny", str(data.features), str(data.truth), "--compile"],
        env=os.environ
        | {"PYTHONPATH": paths, "CXX": "/absent/g++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 2
    assert "--compile: InvalidCxxCompiler" in done.stderr
    assert "train without --compile" in done.stderr
    assert "Traceback" not in done.stderr
