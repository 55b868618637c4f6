"""One call a stage: a command's words are the parameters of one function of its name, which Python users call."""

import ast
import dataclasses
import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from plugin.tiny_data import write_tiny_data
from project import PROJECT
from typer.models import ArgumentInfo

from taltool.cli.main import command_names
from taltool.reporting import SILENT

# The module of each stage; its function has the stage's name.
STAGES = {
    "extract": "taltool.extraction.extract",
    "train": "taltool.training.train",
    "predict": "taltool.prediction.predict",
    "nms": "taltool.postprocessing.nms",
    "label": "taltool.postprocessing.label",
    "fuse": "taltool.postprocessing.fuse",
    "evaluate": "taltool.evaluation.evaluate",
    "diagnose": "taltool.evaluation.diagnose",
    "plot": "taltool.evaluation.plot",
    "convert": "taltool.data.convert",
    "check": "taltool.inspection.check",
    "info": "taltool.inspection.info",
}
# Options that the stage's function does not have, for they only concern what is printed, or print instead of working.
ONLY_PRINTED = {
    "train": {"show_config"},
    "nms": {"list_presets"},
    "evaluate": {"layout", "fail_under"},
    "diagnose": {"format"},
    "info": {"layout"},
    "check": {"strict", "schema"},
}
# What a command hands to a function of a higher floor, since it takes a network: that function, and the options for it
# alone.
WITH_A_NETWORK = {
    "plot": ("taltool.prediction.activations", "plot_activations", {"model", "device"}),
    "convert": ("taltool.training.published", "convert_checkpoint", {"model", "preset"}),
}


# Operands of other names: of files that are told about one by one, the function takes one.
OPERANDS = {"check": ["file"], "info": ["file"]}
# Stages that have nothing to say while they work.
SILENT_STAGES = {"info"}


def function(name: str) -> Callable[..., Any]:
    return getattr(import_module(STAGES[name]), name)  # type: ignore[no-any-return]


def only_with_a_network(name: str) -> set[str]:
    """The options of a command that are for a function of a higher floor alone."""
    return WITH_A_NETWORK[name][2] if name in WITH_A_NETWORK else set()


def words_of(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The operands and the options of a command with their defaults, as Typer sees them."""
    command = getattr(import_module(f"taltool.cli.commands.{name}"), name)
    hints = get_type_hints(command, include_extras=True)
    operands, options = {}, {}
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name != "reporter":
            notes = getattr(hints[parameter.name], "__metadata__", ())
            is_operand = any(isinstance(note, ArgumentInfo) for note in notes)
            (operands if is_operand else options)[parameter.name] = parameter.default
    return operands, options


@pytest.mark.parametrize("name", STAGES)
def test_operands_are_positional_and_options_are_keywords_with_the_commands_defaults(name: str) -> None:
    operands, options = words_of(name)
    parameters = inspect.signature(function(name)).parameters.values()
    positional = [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.VAR_POSITIONAL)]
    keywords = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert positional == OPERANDS.get(name, list(operands))
    assert list(keywords) == [
        *(word for word in options if word not in ONLY_PRINTED.get(name, set()) | only_with_a_network(name)),
        *([] if name in SILENT_STAGES else ["reporter"]),
    ]
    assert keywords.pop("reporter", SILENT) is SILENT
    for word, default in keywords.items():
        # A command line that gives no value for a list gives None; a function need not have what it cannot do without.
        assert default in (options[word], inspect.Parameter.empty) or (default, options[word]) == ((), None), word
    assert len(positional) + len(keywords) == len(parameters) - (name not in SILENT_STAGES)


@pytest.mark.parametrize("name", WITH_A_NETWORK)
def test_what_takes_a_network_is_called_by_options_of_the_command_too(name: str) -> None:
    module, called, own = WITH_A_NETWORK[name]
    parameters = inspect.signature(getattr(import_module(module), called)).parameters.values()
    keywords = {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}
    _, options = words_of(name)
    assert own <= keywords.keys() <= {*options, "reporter"}
    for word, default in keywords.items() - {("reporter", SILENT)}:
        assert default in (options[word], inspect.Parameter.empty, ()), word


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_returns_a_frozen_result_that_says_in_few_words_what_it_is(name: str) -> None:
    returned = get_type_hints(function(name))["return"]
    for kind in get_args(returned) or (returned,):
        assert dataclasses.is_dataclass(kind)
        assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
        has_own = not hasattr(kind.__repr__, "__wrapped__")  # Unlike the one that the decorator makes.
        assert has_own or len(dataclasses.fields(kind)) <= 4


@pytest.mark.parametrize("name", STAGES)
def test_a_command_knows_no_other_stage(name: str) -> None:
    """What commands share lies in the floors below the stages."""
    others = {stage.split(".")[1] for stage in STAGES.values()} - {"data", STAGES[name].split(".")[1]}
    others -= {WITH_A_NETWORK[name][0].split(".")[1]} if name in WITH_A_NETWORK else set()
    tree = ast.parse((PROJECT / f"taltool/cli/commands/{name}.py").read_text("utf-8"))
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert [module for module in imported if module.startswith(tuple(f"taltool.{other}" for other in others))] == []


@pytest.mark.parametrize("name", STAGES)
def test_what_is_named_as_only_printed_is_an_option(name: str) -> None:
    assert ONLY_PRINTED.get(name, set()) <= words_of(name)[1].keys()


def test_every_stage_is_a_command() -> None:
    assert set(STAGES) <= set(command_names())


@pytest.mark.slow
def test_stages_take_paths_of_any_kind(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path)
    place = tmp_path.joinpath
    stage = {name: function(name) for name in STAGES}
    stage["train"](
        data.features, data.truth, model="tsa-tal", output=place("m.safetensors"), set_=["training.epochs=1"]
    )
    stage["predict"](data.features, model=place("m.safetensors"), output=place("p.jsonl"))
    stage["nms"](place("p.jsonl"), output=place("n.jsonl"), top_k=20)
    stage["label"](
        place("p.jsonl"), detections=place("n.jsonl"), replace=True, skip_missing=True, output=place("l.json")
    )
    stage["fuse"](place("n.jsonl"), place("l.json"), fit=data.truth, save_fit=place("fit"), output=place("f.jsonl"))
    place("without").write_text("v03\n")
    place("names").write_text("label,new_label\nrun,Run\n")
    for name in ("evaluate", "diagnose"):
        stage[name](data.truth, place("n.jsonl"), place("f.jsonl"), exclude=place("without"))
    assert stage["plot"](data.truth, place("n.jsonl"), output=place("x.png")).output == str(place("x.png"))
    assert stage["convert"](place("n.jsonl"), output=place("n.csv"), relabel=place("names")).output == str(
        place("n.csv")
    )
    assert stage["check"](place("f.jsonl")).is_whole
    assert stage["info"](place("f.jsonl")).facts["videos"] == 12
