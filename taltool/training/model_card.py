"""The model card: a page in Markdown beside a checkpoint, for whoever is given the weights without their history."""

from pathlib import Path
from typing import Any

import orjson

from taltool.data.checkpoint_header import CheckpointHeader
from taltool.data.files import replacing
from taltool.data.provenance import SELECTED_ON, TRAINED_ON
from taltool.experiment.configuration import to_toml
from taltool.experiment.settings import Experiment

_SELECTION = {"last": "it was the last", "loss": "its validation loss was the lowest", "map": "its mAP was the highest"}


def write_model_card(checkpoint: Path, card: Path, header: CheckpointHeader, experiment: Experiment, log: Path) -> None:
    """Write what is known of a finished checkpoint to `card`; log has the measurements of each epoch."""
    chosen = header.training["chosen_epoch"]
    records = map(orjson.loads, log.read_bytes().splitlines()) if log.exists() else ()
    measured: dict[str, Any] = next((record for record in records if record["epoch"] == chosen), {})
    blocks = [
        f"# {checkpoint.name}",
        f"A network `{header.model}` that finds {len(header.classes)} classes of actions in videos: "
        f"{', '.join(header.classes)}.",
        "## Use",
        _code(
            f"taltool predict --model {checkpoint.name} movie.mp4 --nms --min-score 0.3 -o movie.vtt"
            if header.extraction
            else f"taltool predict --model {checkpoint.name} feats.h5 | taltool nms -o detections.jsonl"
        ),
        "It wants features as it was trained on:",
        _list(_features(header)),
        "## Training",
        _list(_training(header)),
        "Settings, for `taltool train --config`:",
        _code(to_toml(experiment).strip(), "toml"),
        "## Measurements",
        _list(_measurements(measured)),
        "None of these is a test: `taltool evaluate` measures on videos that had no part in the training, and says "
        "where one had.",
    ]
    if header.provenance:
        steps = [f"{each['time']}: `{each['command']}`{_inputs(each)}" for each in header.provenance]
        blocks += ["## Provenance", _list(steps)]
    blocks += [
        "## Limits",
        "It knows these classes alone, as the annotators of its training videos saw them; scores rank detections and "
        "are no probabilities. Who passes it on minds the licences of the videos, the annotations and the weights that "
        "it began with.",
    ]
    with replacing(card) as temporary:
        temporary.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def _code(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```"


def _list(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _features(header: CheckpointHeader) -> list[str]:
    clock = header.clock
    lines = [
        f"{header.channels} channels"
        + (f", streams {', '.join(header.streams)} in the training file" if header.streams else ""),
        f"a snippet of {clock['window']:g} frames every {clock['stride']:g}, at {clock['fps']:g} frames a second "
        f"({clock['seconds_per_snippet']:g} s from one to the next)",
        f"samples of {header.length} snippets",
    ]
    if header.extraction:
        settings = ", ".join(
            f"{name} {value}" for name, value in header.extraction.items() if not isinstance(value, dict)
        )
        lines.append(f"made by `taltool extract` with {settings}")
    return lines


def _training(header: CheckpointHeader) -> list[str]:
    told, seen = header.training, header.seen
    chosen_on = len(seen.get(SELECTED_ON, ()))
    return [
        f"{len(seen.get(TRAINED_ON, ()))} videos to learn from, {chosen_on} to choose the epoch by; "
        "`taltool info` lists them",
        f"epoch {told['chosen_epoch']} of {told['epochs']}, because {_SELECTION[told['select']]}; seed {told['seed']}",
    ]


def _measurements(record: dict[str, Any]) -> list[str]:
    lines = [f"loss {name}: {value:.4g}" for name, value in record.get("losses", {}).items()]
    found = record.get("validation", {})
    known = {name: found[name] for name in ("loss", "mAP") if found.get(name) is not None}
    return lines + [f"validation {name}: {value:.4g}" for name, value in known.items()] or ["no epoch was trained"]


def _inputs(step: dict[str, Any]) -> str:
    """The files that a step read, with the hashes that are known."""
    read = [f"{each['name']} {each.get('sha256', '')[:12]}".strip() for each in step.get("inputs", ())]
    return f", of {', '.join(read)}" if read else ""
