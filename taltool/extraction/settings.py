"""How features are made: from words (options, presets, TOML, `--set`) to settings that a feature file records."""

import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import orjson

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone, Stream, complete_backbone
from taltool.errors import UsageError
from taltool.experiment.configuration import Layer, merged, override, read_config
from taltool.extraction.backbone_settings import FACTS, SECTION, BackboneSettings, asked_by_name, checksum
from taltool.extraction.weights import resolve_weights, words_by_backbone
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter
from taltool.video.flow import FlowSettings
from taltool.video.snippet_windows import SnippetWindows

OWN_RATE = "own"
_FASTEST = 1000
_PER_VIDEO = re.compile(r"([1-9][0-9]{0,8})/video")


@dataclass(frozen=True)
class SnippetSettings:
    """How snippets are cut. None stands for what the backbone prefers.

    stream: both = rgb, then flow; window, stride, offset: frames; fps: the rate to resample to, "own" to keep each
    video's own, or "N/video" for that at which the whole video is N frames, which is at most its own.
    """

    stream: Literal["rgb", "flow", "both"] | None = None
    window: int | None = None
    stride: int | None = None
    offset: int = 0
    fps: float | str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.fps, int | float):
            _refuse_rate("--fps", self.fps)
        elif self.fps is not None:
            frames_per_video(self.fps)


def frames_per_video(fps: str) -> int | None:
    """The N of a rate "N/video", None for "own"; raises UsageError for other words."""
    if fps == OWN_RATE:
        return None
    if found := _PER_VIDEO.fullmatch(fps):
        return int(found[1])
    raise UsageError(f"--fps {fps}: expected frames a second, {OWN_RATE}, or N/video: the whole video as N frames")


def _refuse_rate(option: str, fps: float) -> None:
    if not 0 < fps <= _FASTEST:
        raise UsageError(f"{option} {fps}: must be above 0 and at most {_FASTEST} frames a second")


@dataclass(frozen=True)
class ExtractionSettings:
    """How features are made; two videos belong into one file only if all of this is equal.

    The features of several backbones stand side by side. fps is the rate that videos are resampled to, None = their
    own; frames, where it is given, the number of frames that each becomes instead, at most those that it has;
    images_fps the rate of folders of images. dtype is uint8 for pictures.
    """

    backbones: tuple[BackboneSettings, ...]
    windows: SnippetWindows
    fps: float | None = None
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    flow: FlowSettings = field(default_factory=FlowSettings)
    images_fps: float | None = None
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.images_fps is not None:
            _refuse_rate("--images-fps", self.images_fps)

    @classmethod
    def of(
        cls,
        backbone: str | None = None,
        *,
        preset: str | None = None,
        stream: Literal["rgb", "flow", "both"] | None = None,
        flow: str | None = None,
        window: int | None = None,
        stride: int | None = None,
        offset: int = 0,
        fps: float | str | None = None,
        images_fps: float | None = None,
        set_: Sequence[str] = (),
        weights: Sequence[str] = (),
        precision: Literal["float32", "bf16", "fp16"] = "float32",
        dtype: Literal["float32", "float16"] = "float32",
        reporter: Reporter = SILENT,
    ) -> "ExtractionSettings":
        """The settings: the backbone's own, the preset over them, then these options, then `set_`.

        None is left to the preset, and then to the backbone, which may be several names with commas between them.
        Weights may be fetched now. Raises UsageError, naming the layer, for what is unknown or of the wrong type, and
        for what makes no sense; both it and DataError as `weights.resolve_weights` does.
        """
        options = SnippetSettings(stream, window, stride, offset, fps)
        named, from_preset = (None, None) if preset is None else read_preset(preset)
        asked_for = asked_by_name(backbone or named or "hog3d")
        kinds = {name: complete_backbone(BACKBONES.load(name), name) for name in asked_for}
        of_frames = _of_frames(kinds, dtype, precision)
        layers = []
        if from_preset is not None:
            layers.append(_of_preset(from_preset, list(asked_by_name(named) if named else kinds), list(kinds)))
        plain = asdict(SnippetSettings())
        said = {key: value for key, value in asdict(options).items() if value != plain[key]}
        layers.append(Layer("options", {"snippets": said}))
        if flow is not None:
            method, _, dis_preset = flow.partition("-")
            of_method = {"dis_preset": dis_preset} if dis_preset else {}
            layers.append(Layer("--flow", {"flow": {"method": method} | of_method}))
        parts = _settings(kinds, layers, set_)
        snippets = parts["snippets"]
        rate = _preferred("fps", snippets.fps, kinds)
        if images_fps is None and isinstance(options.fps, int | float):
            images_fps = float(options.fps)
        streams, words = _streams(kinds, snippets.stream), words_by_backbone(kinds, weights)
        return cls(
            backbones=tuple(
                BackboneSettings(
                    name=name,
                    config=parts[name],
                    streams=streams[name],
                    weights=tuple(
                        resolve_weights(kind, streams[name], words[name], reporter, parts[name], name).values()
                    ),
                    asked_for=asked_for[name],
                    file=checksum(asked_for[name]),
                )
                for name, kind in kinds.items()
            ),
            windows=SnippetWindows(
                window=_preferred("window", snippets.window, kinds),
                stride=_preferred("stride", snippets.stride, kinds),
                offset=snippets.offset,
            ),
            fps=float(rate) if isinstance(rate, int | float) else None,
            frames=frames_per_video(rate) if isinstance(rate, str) else None,
            dtype="uint8" if of_frames else dtype,
            flow=parts["flow"],
            images_fps=images_fps,
            precision=precision,
        )

    @classmethod
    def from_record(
        cls,
        record: Mapping[str, Any],
        where: str,
        *,
        backbone: str | None = None,
        weights: Sequence[str] = (),
        images_fps: float | None = None,
        reporter: Reporter = SILENT,
    ) -> "ExtractionSettings":
        """The settings that `record` told of, to make further features alike.

        record: what `record` gave, read from JSON; where: whose it is, for errors. backbone: the Python file that
        registers it, where it is none that comes along; of several backbones, with commas between them, the files of
        those. weights: as for `of`; none: what the record tells can be had without a file. images_fps is not of the
        record's making where it is given.

        Raises UsageError where a backbone is not known here, or is another than it was; where its weights are not
        there, or others; and for what this version cannot do any more.
        """
        names = str(record["backbone"]).split(",")
        own = asked_by_name(backbone) if backbone else {}
        if others := own.keys() - {*names}:
            raise UsageError(f"--backbone {own[min(others)]}: {where} has features of '{record['backbone']}'")
        asked_for = {name: own.get(name, name) for name in names}
        try:
            kinds = {name: complete_backbone(BACKBONES.load(word), name) for name, word in asked_for.items()}
        except UsageError as error:
            raise UsageError(f"{where}: {error}; name the file that registers it: --backbone FILE.py") from error
        words = words_by_backbone(kinds, weights)
        backbones = []
        for name, word in asked_for.items():
            of = f"{name}." if len(names) > 1 else ""
            facts = {key: record[f"{of}{key}"] for key in FACTS if f"{of}{key}" in record}
            backbones.append(BackboneSettings.from_facts(facts, word, where, words[name], reporter))
        return cls(
            backbones=tuple(backbones),
            windows=SnippetWindows(record["window"], record["stride"], record["offset"]),
            fps=record["fps"],
            frames=record.get("frames"),
            dtype=record["dtype"],
            flow=merged({"flow": FlowSettings}, [Layer(where, {"flow": record.get("flow", {})})])["flow"],
            images_fps=record.get("images_fps", record["fps"]) if images_fps is None else images_fps,
            precision=record.get("precision", "float32"),
        )

    @property
    def of_frames(self) -> bool:
        """Whether what is made is a frame store."""
        return self.dtype == "uint8"

    @property
    def backbone(self) -> str:
        """The registered names, with commas between them."""
        return ",".join(each.name for each in self.backbones)

    @property
    def names(self) -> list[str]:
        """The registered name for each stream of each backbone."""
        return [each.name for each in self.backbones for _ in each.streams]

    def record(self) -> str:
        """All of it as JSON: written into the file, and compared when an extraction is continued."""
        facts: dict[str, Any] = {"backbone": self.backbone, **asdict(self.windows), "fps": self.fps}
        facts["dtype"] = self.dtype
        # What is as it always was is not said, so that files of earlier versions can be extended.
        if self.images_fps not in (None, self.fps):
            facts["images_fps"] = self.images_fps
        for each in self.backbones:
            # What holds for one of several has its name before it.
            of = f"{each.name}." if len(self.backbones) > 1 else ""
            facts |= {f"{of}{key}": value for key, value in each.facts().items()}
            if each.weights:
                facts["precision"] = self.precision
        if self.frames is not None:
            facts["frames"] = self.frames
        if any("flow" in each.streams for each in self.backbones):
            facts["flow"] = asdict(self.flow)
            if self.fps is not None:  # Earlier versions measured it between the pictures that they had resampled.
                facts["flow_fps"] = OWN_RATE
        return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()

    def __reduce__(self) -> tuple[Callable[..., "ExtractionSettings"], tuple[list[str], bytes]]:
        # In another process the file of a backbone is imported first: its config is of a class that stands there.
        return _unpickled, ([each.asked_for or each.name for each in self.backbones], pickle.dumps(vars(self)))


def _of_preset(layer: Layer, named: list[str], names: list[str]) -> Layer:
    """What a preset of the backbones `named` says to those of these names: to others how snippets are cut only."""
    if named == names:
        return layer
    values = {key: each for key, each in layer.values.items() if key not in (SECTION, *named)}
    return Layer(layer.source, values)


def _settings(kinds: Mapping[str, type[Backbone]], layers: Sequence[Layer], set_: Sequence[str]) -> dict[str, Any]:
    """The settings of snippets and flow, and of each backbone under its name, as the layers and then `set_` make them.

    Raises UsageError, too, where one means one of several backbones and does not say which.
    """
    section = {name: name if len(kinds) > 1 else SECTION for name in kinds}
    unnamed = [layer.source for layer in layers if SECTION in layer.values]
    unnamed += [f"--set {each}" for each in set_ if each.strip().startswith(f"{SECTION}.")]
    if unnamed and len(kinds) > 1:
        raise UsageError(f"{unnamed[0]}: say of which backbone: {' or '.join(f'{name}.NAME' for name in kinds)}")
    of_kind: dict[str, type] = {"snippets": SnippetSettings, "flow": FlowSettings}
    of_kind |= {section[name]: kind.Config for name, kind in kinds.items()}
    parts = merged(of_kind, [*layers, *(override(each, of_kind) for each in set_)])
    return parts | {name: parts[own] for name, own in section.items()}


def _of_frames(kinds: Mapping[str, type[Backbone]], dtype: str, precision: str) -> bool:
    """Whether the backbones give pictures; raises UsageError for options, and for backbones beside them, that do not
    fit these."""
    names = [name for name, kind in kinds.items() if kind.gives_pictures]
    if not names:
        return False
    if others := [name for name in kinds if name != names[0]]:
        raise UsageError(
            f"--backbone {','.join(kinds)}: {names[0]} gives pictures, beside which no features can stand: extract "
            f"{names[0]} and {' and '.join(others)} to two files"
        )
    for option, value in (("dtype", dtype), ("precision", precision)):
        if value != "float32":
            raise UsageError(f"--{option} {value}: {names[0]} computes nothing, its pictures are uint8; leave it out")
    return True


def _preferred(option: str, given: Any, kinds: Mapping[str, type[Backbone]]) -> Any:
    """What was given, or else what the backbones prefer; raises UsageError where they do not agree."""
    preferred = {name: getattr(kind, option) for name, kind in kinds.items()}
    if given is None and len(set(preferred.values())) > 1:
        each = ", ".join(f"{name} {OWN_RATE if value is None else value}" for name, value in preferred.items())
        raise UsageError(f"the backbones do not agree on --{option} ({each}): give one for all of them")
    return next(iter(preferred.values())) if given is None else given


def _unpickled(backbones: list[str], content: bytes) -> ExtractionSettings:
    for each in backbones:
        BACKBONES.load(each)
    return ExtractionSettings(**pickle.loads(content))


def read_rate(text: str | None) -> float | str | None:
    """The frame rate that `--fps` names; raises UsageError for what is none."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        frames_per_video(text)
        return text


def _streams(kinds: Mapping[str, type[Backbone]], wanted: str | None) -> dict[str, tuple[Stream, ...]]:
    """The streams of each backbone; of several, those that do not see both join in with the one that they see."""
    if wanted is None:
        return {name: kind.inputs[:1] for name, kind in kinds.items()}
    chosen: tuple[Stream, ...] = ("rgb", "flow") if wanted == "both" else ("flow",) if wanted == "flow" else ("rgb",)
    seen = {name: tuple(stream for stream in chosen if stream in kind.inputs) for name, kind in kinds.items()}
    lacking = [name for name in kinds if seen[name] != chosen]
    if lacking and (wanted != "both" or len(lacking) == len(kinds)):
        name = lacking[0]
        known = " or ".join(kinds[name].inputs)
        raise UsageError(f"--stream {wanted}: {name} sees {known} only; i3d, i3d-r50 and tsn see both (--backbone)")
    return seen


def preset_names() -> list[str]:
    """The presets that come along: one TOML file each in the folder `presets`."""
    folder = files("taltool.extraction").joinpath("presets")
    return sorted(each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml"))


def read_preset(name: str) -> tuple[str | None, Layer]:
    """The backbone and the differences of a preset: one that comes along, or a TOML file of the user's own."""
    known = preset_names()
    if name in known:
        found = files("taltool.extraction").joinpath("presets", f"{name}.toml")
        backbone, layer = read_config(str(found))
        return backbone, Layer(f"--preset {name}", layer.values)
    if Path(name).suffix == ".toml":
        return read_config(name)
    raise UsageError(f"--preset {name}: no such preset{did_you_mean(name, known)} (there are: {', '.join(known)})")
