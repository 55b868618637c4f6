"""A model from another package, and a data set that it learns in a second."""

from pathlib import Path

import pytest
from plugin.tiny_data import TinyData, write_tiny_data
from running import MakeTrainer

from taltool.data.annotations import read_ground_truth
from taltool.data.features import FeatureFile
from taltool.engine.experiment import Choice, Request, make_trainer, read_data
from taltool.engine.training import Trainer
from taltool.models import MODELS
from taltool.reporting import SILENT, Reporter

PLUGIN = Path(__file__).resolve().parent.parent / "plugin"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyData:
    """Twelve videos of two classes (features.h5 and gt.json), and the model `tiny` of another package installed."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    from tiny_model import TinyModel

    monkeypatch.setitem(MODELS._entries, "tiny", TinyModel)
    return write_tiny_data(tmp_path)


@pytest.fixture
def trainer(tiny: TinyData, tmp_path: Path, request: pytest.FixtureRequest) -> MakeTrainer:
    """Make a run of the tiny model over the tiny data; keywords are those of Request."""

    def make(*overrides: str, reporter: Reporter = SILENT, split: str | None = None, **wishes: object) -> Trainer:
        wishes = {"model": "tiny", "output": str(tmp_path / "tiny.safetensors"), "with_provenance": False} | wishes
        wanted = Request(overrides=overrides, **wishes)  # type: ignore[arg-type]
        choice = Choice.of(wanted)
        file = FeatureFile(str(tiny.features)).__enter__()
        request.addfinalizer(lambda: file.__exit__(None, None, None))
        data = read_data(wanted, file, read_ground_truth(str(tiny.truth), split), reporter)
        return make_trainer(wanted, choice, data, choice.experiment(wanted.preset, data.facts), reporter)

    return make
