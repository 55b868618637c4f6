"""Files that come inside Python packages: installed by pip, never fetched."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from taltool.data.downloads import is_right
from taltool.errors import DataError, UsageError


@dataclass(frozen=True)
class Packaged:
    """A file at this path inside the installed package of this name; extra is that of taltool which installs it.

    checksum is as of `downloads.Published`.
    """

    package: str
    path: str
    checksum: str
    extra: str

    def file(self) -> Path:
        """Where it is; the package is not imported.

        Raises UsageError where it is not installed, DataError where the file is missing or another one.
        """
        found = find_spec(self.package)
        if found is None or not found.submodule_search_locations:
            raise UsageError(f"the package {self.package} is not installed: pip install 'taltool[{self.extra}]'")
        file = Path(found.submodule_search_locations[0]) / self.path
        try:
            whole = is_right(file, self.checksum)
        except OSError as error:
            raise DataError(f"{file}: {error.strerror or error}") from error
        if not whole:
            raise DataError(f"{file} is not the published file, whose checksum is {self.checksum}: install it again")
        return file
