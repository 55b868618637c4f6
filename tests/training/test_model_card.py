"""The model card beside a checkpoint: what a reader needs who has the weights and nothing else."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from plugin.tiny_data import write_tiny_data

from taltool.training.train import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    data = write_tiny_data(folder)
    overrides = ["training.epochs=2", "training.select=loss", "model.width=32"]
    train(str(data.features), str(data.truth), model="amnet", output=str(folder / "m.safetensors"), set_=overrides)
    return folder


def test_a_finished_training_leaves_a_card_of_what_it_was(folder: Path) -> None:
    card = (folder / "m.card.md").read_text()
    assert card.startswith(
        "# m.safetensors\n\nA network `amnet` that finds 2 classes of actions in videos: jump, run.\n"
    )
    assert "- a snippet of 8 frames every 8, at 16 frames a second (0.5 s from one to the next)\n" in card
    assert re.search(r"^- [78] videos to learn from, [12] to choose the epoch by; ", card, re.MULTILINE)
    assert "taltool train" not in card.partition("## Provenance")[0].replace("`taltool train --config`", "")


def test_its_settings_are_those_that_train_takes(folder: Path) -> None:
    settings = tomllib.loads((folder / "m.card.md").read_text().split("```toml\n")[1].split("\n```")[0])
    assert (settings["name"], settings["model"]["width"], settings["training"]["epochs"]) == ("amnet", 32, 2)


def test_its_measurements_are_those_of_the_epoch_that_was_chosen(folder: Path) -> None:
    card = (folder / "m.card.md").read_text()
    chosen = int(re.search(r"- epoch (\d) of 2, because its validation loss was the lowest; seed 0", card)[1])  # type: ignore[index]
    records = [json.loads(line) for line in (folder / "m.metrics.jsonl").read_text().splitlines()]
    best = min(records, key=lambda record: record["validation"]["loss"])
    assert chosen == best["epoch"]
    assert f"- validation loss: {best['validation']['loss']:.4g}\n" in card
    assert [f"- loss {name}: {value:.4g}" for name, value in best["losses"].items()] == re.findall(r"- loss .*", card)
