"""How features are made: from words (options, presets, TOML, `--set`) to settings that a feature file records."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import orjson

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone, Stream
from taltool.errors import UsageError
from taltool.experiment.configuration import Layer, merged, override, read_config
from taltool.extraction.weights import Weights, resolve_weights
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter
from taltool.video.flow import FlowSettings
from taltool.video.snippet_windows import SnippetWindows

OWN_RATE: Literal["own"] = "own"
_FASTEST = 1000


@dataclass(frozen=True)
class SnippetSettings:
    """How snippets are cut. None stands for what the backbone prefers.

    stream: both = rgb, then flow; window, stride, offset: frames; fps: the rate to resample to, or "own" to keep each
    video's own.
    """

    stream: Literal["rgb", "flow", "both"] | None = None
    window: int | None = None
    stride: int | None = None
    offset: int = 0
    fps: float | Literal["own"] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.fps, int | float):
            _refuse_rate("--fps", self.fps)


def _refuse_rate(option: str, fps: float) -> None:
    if not 0 < fps <= _FASTEST:
        raise UsageError(f"{option} {fps}: must be above 0 and at most {_FASTEST} frames a second")


@dataclass(frozen=True)
class ExtractionSettings:
    """How features are made; two videos belong into one file only if all of this is equal.

    fps is the rate that videos are resampled to, None = their own; images_fps the rate of folders of images. weights
    are those of each stream's network; empty for a backbone without.
    """

    backbone: str
    config: Any
    windows: SnippetWindows
    fps: float | None = None
    dtype: Literal["float32", "float16"] = "float32"
    streams: tuple[Stream, ...] = ("rgb",)
    flow: FlowSettings = field(default_factory=FlowSettings)
    images_fps: float | None = None
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    weights: tuple[Weights, ...] = ()

    def __post_init__(self) -> None:
        if self.images_fps is not None:
            _refuse_rate("--images-fps", self.images_fps)

    @classmethod
    def of(
        cls,
        backbone: str = "hog3d",
        window: int | None = None,
        stride: int | None = None,
        offset: int = 0,
        fps: float | Literal["own"] | None = None,
        dtype: Literal["float32", "float16"] = "float32",
        config: Any = None,
        stream: Literal["rgb", "flow", "both"] | None = None,
        flow: FlowSettings | None = None,
        weights: Sequence[str] = (),
        **further: Any,
    ) -> "ExtractionSettings":
        """The settings for a backbone; None stands for what it prefers, weights are words of `--weights`.

        Raises UsageError for what makes no sense.
        """
        name = BACKBONES.canonical(backbone)
        wanted = SnippetSettings(stream, window, stride, offset, fps)
        kind: type[Backbone] = BACKBONES.load(name)
        parts = (wanted, config or kind.Config(), flow or FlowSettings(), weights)
        return cls.from_parts(name, *parts, dtype=dtype, **further)

    @classmethod
    def from_parts(
        cls,
        name: str,
        snippets: SnippetSettings,
        config: Any,
        flow: FlowSettings,
        weights: Sequence[str] = (),
        reporter: Reporter = SILENT,
        **further: Any,
    ) -> "ExtractionSettings":
        """The settings for the backbone of this canonical name; further ones are fields of this class.

        Weights may be fetched now. Raises UsageError and DataError as `weights.resolve_weights` does.
        """
        kind: type[Backbone] = BACKBONES.load(name)
        window = kind.window if snippets.window is None else snippets.window
        stride = kind.stride if snippets.stride is None else snippets.stride
        fps = kind.fps if snippets.fps is None else snippets.fps
        streams = _streams(name, kind, snippets.stream)
        return cls(
            name,
            config,
            SnippetWindows(window, stride, snippets.offset),
            None if fps == OWN_RATE else float(fps) if fps is not None else None,
            streams=streams,
            flow=flow,
            weights=tuple(resolve_weights(kind, streams, weights, reporter, config).values()),
            **further,
        )

    def record(self) -> str:
        """All of it as JSON: written into the file, and compared when an extraction is continued."""
        facts = {"backbone": self.backbone, "config": asdict(self.config), **asdict(self.windows)}
        facts |= {"fps": self.fps, "dtype": self.dtype}
        # What is as it always was is not said, so that files of earlier versions can be extended.
        if self.images_fps not in (None, self.fps):
            facts["images_fps"] = self.images_fps
        if self.weights:
            identities = [each.identity for each in self.weights]
            facts |= {"streams": self.streams, "weights": identities, "precision": self.precision}
        if "flow" in self.streams:
            facts["flow"] = asdict(self.flow)
        return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()


def read_rate(text: str | None) -> float | Literal["own"] | None:
    """The frame rate that `--fps` names; raises UsageError for what is none."""
    if text is None or text == OWN_RATE:
        return OWN_RATE if text else None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--fps {text}: expected frames a second, or {OWN_RATE}") from None


def _streams(name: str, kind: type[Backbone], wanted: str | None) -> tuple[Stream, ...]:
    if wanted is None:
        return kind.inputs[:1]
    chosen: tuple[Stream, ...] = ("rgb", "flow") if wanted == "both" else ("flow",) if wanted == "flow" else ("rgb",)
    missing = [stream for stream in chosen if stream not in kind.inputs]
    if missing:
        known = " or ".join(kind.inputs)
        raise UsageError(f"--stream {wanted}: {name} sees {known} only; i3d and tsn see both (--backbone)")
    return chosen


def sections(kind: type[Backbone]) -> dict[str, type]:
    """The dataclass of each section of settings that `--set`, presets and TOML files may name."""
    return {"snippets": SnippetSettings, "backbone": kind.Config, "flow": FlowSettings}


@dataclass(frozen=True)
class ExtractionRequest:
    """What the user says of how features are made; None is left to the preset, and then to the backbone."""

    backbone: str | None = None
    preset: str | None = None
    snippets: SnippetSettings = field(default_factory=SnippetSettings)
    flow: str | None = None
    overrides: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()

    def resolved(self, reporter: Reporter = SILENT, **further: Any) -> ExtractionSettings:
        """The settings: the backbone's own, the preset over them, then options, then `--set`.

        Raises UsageError, naming the layer, for what is unknown or of the wrong type.
        """
        named, preset = (None, None) if self.preset is None else read_preset(self.preset)
        name = BACKBONES.canonical(self.backbone or named or "hog3d")
        if preset is not None and self.backbone and BACKBONES.canonical(named or name) != name:
            # Its sizes are those of another network.
            preset = Layer(preset.source, {key: each for key, each in preset.values.items() if key != "backbone"})
        kinds = sections(BACKBONES.load(name))
        layers = [*([preset] if preset else []), *self._options(), *(override(each, kinds) for each in self.overrides)]
        parts = merged(kinds, layers)
        if further.get("images_fps") is None and isinstance(self.snippets.fps, float):
            further["images_fps"] = self.snippets.fps
        from_parts = (parts["snippets"], parts["backbone"], parts["flow"], self.weights, reporter)
        return ExtractionSettings.from_parts(name, *from_parts, **further)

    def _options(self) -> Iterable[Layer]:
        plain = SnippetSettings()
        given = {each.name: getattr(self.snippets, each.name) for each in fields(plain)}
        yield Layer("options", {"snippets": {n: v for n, v in given.items() if v != getattr(plain, n)}})
        if self.flow is not None:
            method, _, preset = self.flow.partition("-")
            yield Layer("--flow", {"flow": {"method": method} | ({"dis_preset": preset} if preset else {})})


def preset_names() -> list[str]:
    """The presets that come along: one TOML file each in the folder `presets`."""
    folder = files("taltool.extraction").joinpath("presets")
    return sorted(each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml"))


def read_preset(name: str) -> tuple[str | None, Layer]:
    """The backbone and the differences of a preset: one that comes along, or a TOML file of the user's own."""
    if name in preset_names():
        found = files("taltool.extraction").joinpath("presets", f"{name}.toml")
        backbone, layer = read_config(str(found))
        return backbone, Layer(f"--preset {name}", layer.values)
    if Path(name).suffix == ".toml":
        return read_config(name)
    known = preset_names()
    raise UsageError(f"--preset {name}: no such preset{did_you_mean(name, known)} (there are: {', '.join(known)})")
