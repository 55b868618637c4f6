"""From words to settings: defaults, preset, TOML file and `--set`, each layer over the one before, every value checked.

A layer is a nested dict of differences {section: {field: value}}; the sections are `model` (the model's own Config),
`sampling`, `training`, `prediction` and `nms`. An unknown name, a value of the wrong type or outside the allowed ones,
and a number that is not finite (no setting may be infinite) is a UsageError that says which layer holds it.
"""

import dataclasses
import enum
import json
import sys
import tomllib
import types
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from taltool.data.files import read_text
from taltool.errors import DataError, UsageError
from taltool.experiment.settings import Experiment, PredictionSettings, SamplingSettings, TrainingSettings
from taltool.ops.nms_settings import Suppression
from taltool.registry import did_you_mean

if TYPE_CHECKING:  # Extraction reads its settings here, and knows no torch where its backbone needs none.
    from taltool.models.contract import SettingsBySection

NAME_KEY = "name"
# Characters of a TOML file: more take minutes to parse, where keys are chains of keys.
_LONGEST_CONFIG = 100_000
_IN_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}


@dataclass(frozen=True)
class Layer:
    """Overrides and their origin, for error messages."""

    source: str
    values: "SettingsBySection"


def sections(model_config: type) -> dict[str, type]:
    """The dataclass of each section of an experiment with this model."""
    return {
        "model": model_config,
        "sampling": SamplingSettings,
        "training": TrainingSettings,
        "prediction": PredictionSettings,
        "nms": Suppression,
    }


def build(model_name: str, model_config: type, layers: Iterable[Layer]) -> Experiment:
    """The experiment that the layers make, later ones winning over earlier ones and over the defaults."""
    return Experiment(model_name, **merged(sections(model_config), layers))


def merged(kinds: dict[str, type], layers: Iterable[Layer]) -> dict[str, Any]:
    """The settings of each section, of the dataclass that `kinds` names for it, as the layers make them."""
    values: SettingsBySection = {name: {} for name in kinds}
    named: dict[str, str] = {}
    for layer in layers:
        for section, differences in layer.values.items():
            kind = _known(section, kinds, f"{layer.source}: no such section '{section}'")
            values[section].update(_checked_fields(kind, differences, f"{layer.source}: {section}"))
            named[section] = layer.source
    return {name: _made(kind, values[name], f"{named.get(name, 'defaults')}: {name}") for name, kind in kinds.items()}


def preset_layer(name: str, presets: "dict[str, SettingsBySection]", model_name: str) -> Layer:
    """The differences that a model's preset makes; raises UsageError for a name it does not have."""
    if name not in presets:
        known = ", ".join([*presets, "auto"])
        hint = did_you_mean(name, [*presets, "auto"])
        raise UsageError(f"--preset {name}: model '{model_name}' has no such preset{hint} (there are: {known})")
    return Layer(f"--preset {name}", presets[name])


def read_config(path: str) -> tuple[str | None, Layer]:
    """The model name (None where the file does not say) and the differences in a TOML file."""
    text = read_text(path)
    if len(text) > _LONGEST_CONFIG:
        raise DataError(f"{path}: {len(text)} characters, where settings have a few thousand; is it the right file?")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # Numbers of thousands of digits are no TOMLDecodeError.
        raise DataError(f"{path}: not TOML: {error}") from error
    name = document.pop(NAME_KEY, None)
    for section, values in document.items():
        if not isinstance(values, dict):
            raise UsageError(f"{path}: '{section}' stands outside a section such as [training]")
    return name, Layer(path, document)


def override_layer(text: str, model_config: type) -> Layer:
    """The layer of one `--set a.b=c` over an experiment with this model; see `override`."""
    return override(text, sections(model_config))


def override(text: str, kinds: dict[str, type]) -> Layer:
    """The layer of one `--set a.b=c`. `a.` may be left out where only one of the sections has a field `b`."""
    source = f"--set {text}"
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise UsageError(f"{source}: expected SECTION.NAME=VALUE")
    section, name = _resolved(path.strip(), kinds, source)
    word = value.strip()
    try:
        meant = tomllib.loads(f"value = {word}")["value"]
    except (ValueError, RecursionError):
        meant = word  # A bare word.
    return Layer(source, {section: {name: meant}})


def to_plain(experiment: Experiment) -> dict[str, Any]:
    """The whole configuration as {"name": ..., section: {field: value}}, ready for JSON."""
    plain: dict[str, Any] = {NAME_KEY: experiment.model_name}
    for section in sections(type(experiment.model)):
        plain[section] = dataclasses.asdict(getattr(experiment, section))
    return plain


def from_plain(plain: dict[str, Any], model_config: type, source: str) -> Experiment:
    """The experiment that `to_plain` described; raises UsageError where this version knows other settings."""
    values = {name: section for name, section in plain.items() if name != NAME_KEY}
    return Experiment(plain[NAME_KEY], **merged(sections(model_config), [Layer(source, values)]))


def to_toml(experiment: Experiment) -> str:
    """The whole effective configuration as TOML that `read_config` accepts."""
    plain = to_plain(experiment)
    lines = [f"{NAME_KEY} = {_toml(plain.pop(NAME_KEY))}"]
    for section, values in plain.items():
        lines += ["", f"[{section}]", *(f"{name} = {_toml(value)}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # JSON leaves the delete character as it is, TOML forbids it.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _known(name: str, known: dict[str, Any], message: str) -> Any:
    if name not in known:
        raise UsageError(f"{message}{did_you_mean(name, list(known))}")
    return known[name]


def _resolved(path: str, kinds: dict[str, type], source: str) -> tuple[str, str]:
    section, dot, name = path.partition(".")
    if dot:
        kind = _known(section, kinds, f"{source}: no such section '{section}'")
        _known(name, get_type_hints(kind), f"{source}: no such setting in '{section}'")
        return section, name
    fields = {each: list(get_type_hints(kind)) for each, kind in kinds.items()}
    owners = [each for each, names in fields.items() if path in names]
    if not owners:
        everything = sorted({name for names in fields.values() for name in names})
        raise UsageError(f"{source}: no such setting{did_you_mean(path, everything)}")
    if len(owners) > 1:
        raise UsageError(f"{source}: say which: {' or '.join(f'{each}.{path}' for each in owners)}")
    return owners[0], path


def _checked_fields(kind: type, values: Any, where: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise UsageError(f"{where}: expected a table, found {values!r}")
    hints = get_type_hints(kind)
    checked = {}
    for name, value in values.items():
        hint = _known(name, hints, f"{where}.{name}: no such setting")
        checked[name] = _checked(value, hint, f"{where}.{name}")
    return checked


def _checked(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotation `hint` wants it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _chosen(value, {each: each for each in arguments}, where)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _chosen(value, {each.value: each for each in hint}, where)
    if origin in (Union, types.UnionType):
        return _checked_union(value, arguments, where)
    if origin is tuple:
        values = value if isinstance(value, list | tuple) else [value]
        hints = arguments[:1] * len(values) if arguments[1:] == (Ellipsis,) else arguments
        if len(values) != len(hints):
            raise UsageError(f"{where}: expected {len(hints)} values, found {len(values)}")
        return tuple([_checked(*pair, f"{where}[{i}]") for i, pair in enumerate(zip(values, hints, strict=True))])
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else _made(hint, _checked_fields(hint, value, where), where)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= sys.float_info.max:  # TOML has nan and inf, and whole numbers that no float can hold.
            raise UsageError(f"{where}: expected a finite number, found {value}")
        return float(value)
    if hint is Any or (isinstance(value, hint) and isinstance(value, bool) == (hint is bool)):
        return value
    raise UsageError(f"{where}: expected {_IN_WORDS.get(hint, str(hint))}, found {value!r}")


def _chosen(value: Any, choices: dict[Any, Any], where: str) -> Any:
    for choice, meant in choices.items():
        if value == choice and isinstance(value, bool) == isinstance(choice, bool):
            return meant
    known = [str(choice) for choice in choices]
    raise UsageError(f"{where}: {value!r} is none of {', '.join(known)}{did_you_mean(str(value), known)}")


def _checked_union(value: Any, arguments: tuple[Any, ...], where: str) -> Any:
    if type(None) in arguments and (value is None or value == "none"):
        return None
    first_error: UsageError | None = None
    for hint in arguments:
        try:
            return _checked(value, hint, where)
        except UsageError as error:
            first_error = first_error or error
    raise first_error or UsageError(f"{where}: {value!r} fits no allowed type")


def _made(kind: type, values: dict[str, Any], where: str) -> Any:
    try:
        return kind(**values)
    except (ValueError, TypeError, UsageError) as error:
        raise UsageError(f"{where}: {error}") from error
