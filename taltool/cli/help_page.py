"""The pages that --help prints: operands and options by what they are for, their defaults in words, and examples.

A command's file may end its page by `EXAMPLES`: command lines; a line that begins with # explains the next one. In the
help of an option, "There are {models}." is a list of the names that are there: of `models`, their `model_presets`,
`backbones`, `extraction_presets`, `formats` or `metrics`. It is made when the page is shown, from file names and text,
so that it is true of what plug-ins add and imports none of what it names.
"""

import ast
import enum
import importlib
import os
import re
import shutil
import textwrap
import typing
from importlib.resources import files
from typing import Any

import typer
import typer.core

from taltool.registry import source_of

# Options mean the same in every command; what none of these name is of the command's own method.
_SECTIONS = {
    "Input": "--subset --validation-subset --test-subset --split --folds --ground-truth --skip-missing --images-fps "
    "--streams --classifier --from --classes --exclude --only-annotated --durations --score --channels-first --crops "
    "--dataset --columns --header --times --tier --media --background --force --cache",
    "Output": "--output --to --show-scores --provenance --format --fail-under --dtype --tensorboard --save-fit "
    "--per-class --html --dpi --link --show-config --list-presets --tier-labels --labels --schema",
    "Running": "--jobs --device --batch --batch-size --shard --engine --patience --precision --compile --workers "
    "--deterministic --seed --resume --save-every --quiet --verbose --progress --help",
}
_ORDER = ("Input", "Method", "Output", "Running")
_LONGEST_CHOICE = 24
_WIDEST = 100
# The sentence of an option's help that lists names.
_NAMES = re.compile(r" ?There are \{(\w+)\}\.")


class Command(typer.core.TyperCommand):
    """A command whose usage and help are written here."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The operands, as the first line of the help shows them."""
        return ["[OPTION]...", *operands(self)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole page."""
        formatter.write(command_page(self, ctx))


class Group(typer.core.TyperGroup):
    """The program: its commands with one line each."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole page."""
        formatter.write(group_page(self, ctx))


def choices(parameter: Any) -> list[str]:
    """The words that an option takes, where they are few and known."""
    found: list[Any] = [parameter.type_descriptor.annotation]
    while found:
        kind = found.pop()
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return [str(member.value) for member in kind]
        if typing.get_origin(kind) is typing.Literal:
            return [str(each) for each in typing.get_args(kind)]
        found += typing.get_args(kind)
    return []


def value_name(parameter: Any) -> str:
    """What stands for the value of an option: FILE, N, or its choices where they are short."""
    if parameter.metavar:
        return str(parameter.metavar)
    kind = parameter.type_descriptor.annotation
    for number, name in ((int, "N"), (float, "X")):
        if kind is number or number in typing.get_args(kind):
            return name
    words = "|".join(choices(parameter))
    return words if words and len(words) <= _LONGEST_CHOICE else parameter.name.strip("_").upper()


def operands(command: Any) -> list[str]:
    """The operands as usage shows them: [PROPOSALS] may be left out, VIDEO... be several."""
    words = []
    for parameter in command.params:
        if is_operand(parameter):
            word = (parameter.metavar or parameter.name.upper()).strip("[].")
            word = f"{word}..." if parameter.nargs == -1 else word
            words.append(word if parameter.required else f"[{word}]")
    return words


def is_operand(parameter: Any) -> bool:
    """Whether a parameter of a command is given by its place instead of a name."""
    return bool(parameter.param_type_name == "argument")


def meaning(parameter: Any) -> str:
    """The help of an operand or option with its choices, where neither that nor the name of its value tells them."""
    text, words = " ".join((parameter.help or "").split()), choices(parameter)
    is_told = value_name(parameter) == "|".join(words) or all(word in text for word in words)
    return text if is_told else f"{text} One of {', '.join(words)}."


def without_names(text: str) -> str:
    """An option's help without its list of names, for what must not change with them."""
    return _NAMES.sub("", text)


def _with_names(text: str) -> str:
    return _NAMES.sub(lambda match: f" There are {_names(match[1])}.", text)


def _names(kind: str) -> str:
    if kind == "extraction_presets":
        folder = files("taltool.extraction").joinpath("presets")
        return ", ".join(sorted(each.name.removesuffix(".toml") for each in folder.iterdir()))
    if kind == "model_presets":
        from taltool.models import MODELS

        return "; ".join(f"{name}: {', '.join(_presets_of(name))}" for name in MODELS.built_in())
    module = {"formats": "taltool.data.formats", "metrics": "taltool.ops.metrics"}.get(kind, f"taltool.{kind}")
    return ", ".join(getattr(importlib.import_module(module), kind.upper()).names())


def _presets_of(model: str) -> list[str]:
    """The keys of PRESETS in the text of a model's settings; to import them would import torch."""
    for node in ast.parse(source_of(f"taltool.models.{model.replace('-', '_')}.config")).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.value, ast.Dict)
            and ast.unparse(node.target) == "PRESETS"
        ):
            return [ast.literal_eval(key) for key in node.value.keys if key is not None]
    return []


def command_page(command: Any, context: Any) -> str:
    """The help of one command, for the width of the terminal."""
    width = _width()
    parts = [_filled(f"Usage: {context.command_path} {' '.join(command.collect_usage_pieces(context))}", width, 7)]
    parts += _described(command.help, width)
    sections: dict[str, list[str]] = {}
    for parameter in command.get_params(context):
        if not getattr(parameter, "hidden", False):
            sections.setdefault(_section(parameter), []).append(_entry(parameter, width))
    # A section that a command names itself stands with the method.
    order = sorted(sections, key=lambda name: _ORDER.index(name) if name in _ORDER else 1)
    parts += ["\n".join([_heading(name), *sections[name]]) for name in order]
    module = importlib.import_module(command.callback.__module__)
    if hasattr(module, "EXAMPLES"):
        parts.append("\n".join([_heading("Examples"), *_examples(module.EXAMPLES, width)]))
    parts.append(f"The whole manual of this command: taltool help {command.name}")
    return "\n\n".join(parts) + "\n"


def group_page(group: Any, context: Any) -> str:
    """The help of the program, which lists its commands."""
    width = _width()
    parts = [f"Usage: {context.command_path} COMMAND [OPTION]... [FILE]...", *_described(group.help, width)]
    commands = [
        _columns(name, re.split(r"(?<=[.:;])\s", command.help)[0].rstrip(".:;") + ".", 12, width)
        for name, command in group.commands.items()
    ]
    parts.append("\n".join([_heading("Commands"), *commands]))
    options = [_entry(parameter, width) for parameter in group.get_params(context)]
    parts.append("\n".join([_heading("Options"), *options]))
    return "\n\n".join(parts) + "\n"


def _described(text: str, width: int) -> list[str]:
    """The paragraphs of a docstring; one that is a command line stays one."""
    blocks = (" ".join(block.split()) for block in re.split(r"\n\s*\n", text))
    is_command = re.compile("taltool |torchrun ").match
    return ["\n".join(_examples(block, width)) if is_command(block) else _filled(block, width) for block in blocks]


def _width() -> int:
    return max(40, min(_WIDEST, shutil.get_terminal_size().columns))


def _heading(text: str) -> str:
    # What is no terminal gets the text without the codes.
    return f"{text}:" if os.environ.get("NO_COLOR") else typer.style(f"{text}:", bold=True)


def _section(parameter: Any) -> str:
    if is_operand(parameter):
        return "Input"
    found = (name for name, words in _SECTIONS.items() if {*parameter.opts} & {*words.split()})
    return parameter.rich_help_panel or next(found, "Method")


def _entry(parameter: Any, width: int) -> str:
    """An operand or option with what it means, its choices and its default."""
    if is_operand(parameter):
        name = (parameter.metavar or parameter.name.upper()).strip("[].")
    else:
        name = ", ".join([*sorted(parameter.opts, key=len), *parameter.secondary_opts])
        name += "" if _is_flag(parameter) else f" {value_name(parameter)}"
    text = _with_names(meaning(parameter))
    if parameter.required and not is_operand(parameter):
        text += " Required."
    if default := default_in_words(parameter):
        text += f" Default: {default}."
    if parameter.envvar:
        text += f" Environment: {parameter.envvar}."
    return _columns(name, text, 24, width)


def _is_flag(parameter: Any) -> bool:
    return bool(parameter.is_flag or parameter.count)


def default_in_words(parameter: Any) -> str:
    """The default of an operand or option where it says something: not "nothing", nor that a flag is not set."""
    default = parameter.default.value if isinstance(parameter.default, enum.Enum) else parameter.default
    if default in (None, "", (), []) or not parameter.show_default or "default" in (parameter.help or "").lower():
        return ""
    if not is_operand(parameter) and _is_flag(parameter):
        if not parameter.secondary_opts:
            return ""
        return str((parameter.opts if default else parameter.secondary_opts)[-1])
    return f"{default:g}" if isinstance(default, float) else str(default)


def _columns(name: str, text: str, left: int, width: int) -> str:
    """A name with its text beside it, or below where the name is long."""
    lines = textwrap.wrap(text, width - left - 2, break_long_words=False, break_on_hyphens=False) or [""]
    margin = " " * (left + 2)
    head = f"  {name}"
    if len(head) + 2 > len(margin):
        return "\n".join([head, *(margin + line for line in lines)])
    return "\n".join([f"{head:{len(margin)}}{lines[0]}".rstrip(), *(margin + line for line in lines[1:])])


def _filled(text: str, width: int, indent: int = 0) -> str:
    return textwrap.fill(
        " ".join(text.split()), width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def _examples(text: str, width: int) -> list[str]:
    """Command lines that can be copied: one that is too wide goes on in the next line after a pipe or a backslash."""
    lines = []
    for line in text.strip().splitlines():
        whole = f"  {line}"
        if line.startswith("#"):
            lines += textwrap.wrap(whole, width, subsequent_indent="  # ", break_on_hyphens=False)
        elif len(whole) <= width:
            lines += [whole]
        else:
            parts = whole.replace(" | ", " |\n      ").splitlines()
            lines += [continued for part in parts for continued in _continued(part, width)]
    return lines


def _continued(line: str, width: int) -> list[str]:
    """A command in lines that end in a backslash; what stands in quotes, and an option's value, is not torn off."""
    words = re.findall(r"(?:--?[\w-]+ (?!-))?(?:'[^']*'|\"[^\"]*\"|[^ ])+", line)
    lines = [f"{line[: len(line) - len(line.lstrip())]}{words[0]}"]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"      {word}")
        else:
            lines[-1] += f" {word}"
    return lines
