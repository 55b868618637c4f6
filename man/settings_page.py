"""`settings.md`, from which taltool-settings(7) is made: every setting and preset, as the code has them.

What a setting does is said by the comment above or behind it in the data class that holds it.
"""

import ast
import dataclasses
import inspect
import re
import tokenize
import typing
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Any

_HEAD = """\
# taltool-settings(7): every setting and preset of training and extraction

<!-- Made by `python man/generate.py` from the data classes of the settings: edit their comments, not this file. -->

Settings have the form SECTION.NAME. Those of a training are `model` (of the model that is trained), `sampling`,
`training`, `prediction` and `nms`; those of an extraction are `snippets`, `flow` and `backbone`. `--set A.B=VALUE`
changes one, `--config FILE.toml` or `--preset` several at once; `--set` wins over both. `taltool train --show-config`
prints the values in use for given data, after `auto` has chosen. The values below are the defaults without a preset.
Table, figure and equation numbers are those of the paper of the model; "the code" is the code its authors published.

Where each model fits is told in [taltool-models(7)](models.md), where each backbone does in
[taltool-backbones(7)](backbones.md).
"""
_TAIL = """
## See also

taltool-train(1), taltool-extract(1), taltool-nms(1), taltool-models(7), taltool-backbones(7)
"""


def settings_page() -> str:
    """The whole page, as Markdown."""
    from taltool.backbones import BACKBONES
    from taltool.experiment.settings import PredictionSettings, SamplingSettings, TrainingSettings
    from taltool.extraction.settings import preset_names
    from taltool.models import MODELS
    from taltool.ops.nms_settings import PRESETS, Suppression

    parts = [_HEAD]
    for name in MODELS.built_in():
        model = MODELS.load(name)
        parts += [
            f"## Model {name}",
            f"Presets of `train --model {name} --preset`: {_listed(['auto', *model.presets])}.",
        ]
        parts += _section("model", model.Config)
    parts += ["## Section sampling", *_section("sampling", SamplingSettings)]
    parts += ["## Section training", *_section("training", TrainingSettings)]
    parts += ["## Section prediction", *_section("prediction", PredictionSettings)]
    parts += [
        "## Section nms",
        f"Presets of `taltool nms --preset`: {_listed(PRESETS)}.",
        *_section("nms", Suppression),
    ]
    for name in BACKBONES.built_in():
        parts += [f"## Backbone {name}", *_section("backbone", BACKBONES.load(name).Config)]
    where = "What each holds is in its file in `taltool/extraction/presets`."
    parts += ["## Presets of extract", f"{_listed(preset_names())}. {where}"]
    return "\n\n".join(parts) + "\n" + _TAIL


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _section(section: str, kind: type) -> Iterator[str]:
    """What the class says of itself, and a list of its fields."""
    # Prose with code and tables, as Markdown has them; stars mark what a paper does not say.
    yield re.sub(r"(?<=[\w\"])\*|(?<=with )\*", r"\\*", inspect.getdoc(kind) or "")
    comments: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        comments |= _comments(base)
    rows = []
    for field in dataclasses.fields(kind):
        default = getattr(field.default, "value", field.default)
        words = f"- `{section}.{field.name}` = {_toml(default)}"
        one_of = _choices(typing.get_type_hints(kind)[field.name])
        words += f" (one of {', '.join(one_of)})" if one_of else ""
        rows.append(f"{words}: {comments[field.name]}" if comments.get(field.name) else words)
    yield "\n".join(rows)


def _choices(annotation: Any) -> list[str]:
    """The values that a type allows, where they are few."""
    if typing.get_origin(annotation) is typing.Literal:
        return [str(each) for each in typing.get_args(annotation)]
    members = getattr(annotation, "__members__", {})
    return [member.value for member in members.values()]


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value) or '""'


def _comments(kind: type) -> dict[str, str]:
    """What stands behind each field of a data class, or in the lines above it."""
    try:
        source = inspect.cleandoc("\n" + inspect.getsource(kind))
    except OSError:
        return {}
    behind: dict[int, str] = {}
    alone: dict[int, str] = {}
    lines = source.splitlines()
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            is_alone = lines[token.start[0] - 1].lstrip().startswith("#")
            (alone if is_alone else behind)[token.start[0]] = token.string.lstrip("# ")
    found = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            first = node.lineno
            while first - 1 in alone:
                first -= 1
            words = [alone[line] for line in range(first, node.lineno)]
            words += [behind[line] for line in range(node.lineno, (node.end_lineno or 0) + 1) if line in behind]
            text = re.sub(r"\*(?=$|[\s,.;:])", r"\\*", " ".join(words))
            found[node.target.id] = text.replace("<", "\\<").replace("[", "\\[")
    return found
