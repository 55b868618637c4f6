"""Whatever a file of annotations or proposals holds, `check` reads it, and mends what it says it mends."""

import re
import tempfile
from typing import Any

import pytest
from hypothesis import given, settings
from strange_contents import KINDS

from taltool.data.formats.contract import FormatOptions
from taltool.data.formats.sniffing import format_named
from taltool.errors import DataError
from taltool.inspection.check import check

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.mark.parametrize("kind", ["annotations", "proposals"])
def test_whatever_is_in_a_file_it_is_checked_and_mended(kind: str) -> None:
    strategy, made = KINDS[kind]

    @settings(deadline=None, max_examples=80)
    @given(strategy)
    def run(drawn: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source, target = f"{folder}/a.json", f"{folder}/b.json"
            format_named("activitynet").write(made(drawn), source, FormatOptions())
            assert check(source).is_whole
            try:
                check(source, fix="all", output=target)
            except DataError as error:
                if "start after the ends of their videos, and clip would leave them out" not in str(error):
                    raise
                return
            left = " ".join(check(target).oddities)
            assert not re.search("zero length|repeated|that end after|start after|before 0", left)
            again = check(target, fix="all", output=f"{folder}/c.json")
            assert again.mended == ()

    run()
