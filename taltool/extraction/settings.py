"""How features are made: from words (options, presets, TOML, `--set`) to settings that a feature file records."""

import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import orjson

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone, Stream, complete_backbone
from taltool.data.downloads import digest
from taltool.errors import UsageError
from taltool.experiment.configuration import Layer, merged, override, read_config
from taltool.extraction.weights import AUTO, RANDOM, Weights, resolve_weights
from taltool.registry import did_you_mean
from taltool.reporting import SILENT, Reporter
from taltool.video.flow import FlowSettings
from taltool.video.snippet_windows import SnippetWindows

# The key of the record under which the checksum of a backbone's file is.
BACKBONE_FILE = "backbone_file"
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

    fps is the rate that videos are resampled to, None = their own; frames, where it is given, the number of frames that
    each becomes instead, at most those that it has; images_fps the rate of folders of images. weights are those of each
    stream's network; empty for a backbone without. backbone is the registered name, asked_for the
    word that it was asked for by, which may be the file that registers it; backbone_file is the checksum of that.
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
    asked_for: str = field(default="", compare=False)
    backbone_file: str | None = None
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

        None is left to the preset, and then to the backbone. Weights may be fetched now. Raises UsageError, naming the
        layer, for what is unknown or of the wrong type, and for what makes no sense; both it and DataError as
        `weights.resolve_weights` does.
        """
        options = SnippetSettings(stream, window, stride, offset, fps)
        named, from_preset = (None, None) if preset is None else read_preset(preset)
        asked_for = backbone or named or "hog3d"
        name = BACKBONES.canonical(asked_for)
        kind = complete_backbone(BACKBONES.load(name), name)
        layers = []
        if from_preset is not None:
            values = from_preset.values
            if named and BACKBONES.canonical(named) != name:  # Its sizes are those of another network.
                values = {key: each for key, each in values.items() if key != "backbone"}
            layers.append(Layer(from_preset.source, values))
        plain = asdict(SnippetSettings())
        said = {key: value for key, value in asdict(options).items() if value != plain[key]}
        layers.append(Layer("options", {"snippets": said}))
        if flow is not None:
            method, _, dis_preset = flow.partition("-")
            of_method = {"dis_preset": dis_preset} if dis_preset else {}
            layers.append(Layer("--flow", {"flow": {"method": method} | of_method}))
        kinds = {"snippets": SnippetSettings, "backbone": kind.Config, "flow": FlowSettings}
        parts = merged(kinds, [*layers, *(override(each, kinds) for each in set_)])
        snippets, config = parts["snippets"], parts["backbone"]
        rate = kind.fps if snippets.fps is None else snippets.fps
        if images_fps is None and isinstance(options.fps, int | float):
            images_fps = float(options.fps)
        streams = _streams(name, kind, snippets.stream)
        return cls(
            backbone=name,
            config=config,
            windows=SnippetWindows(
                window=kind.window if snippets.window is None else snippets.window,
                stride=kind.stride if snippets.stride is None else snippets.stride,
                offset=snippets.offset,
            ),
            fps=float(rate) if isinstance(rate, int | float) else None,
            frames=frames_per_video(rate) if isinstance(rate, str) else None,
            dtype=dtype,
            streams=streams,
            flow=parts["flow"],
            images_fps=images_fps,
            precision=precision,
            weights=tuple(resolve_weights(kind, streams, weights, reporter, config).values()),
            asked_for=asked_for,
            backbone_file=_checksum(asked_for),
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
        registers it, where it is none that comes along. weights: as for `of`; none: what the record tells can be had
        without a file. images_fps is not of the record's making where it is given.

        Raises UsageError where the backbone is not known here, or is another than it was; where its weights are not
        there, or others; and for what this version cannot do any more.
        """
        name = str(record["backbone"])
        if backbone is not None and BACKBONES.canonical(backbone) != name:
            raise UsageError(f"--backbone {backbone}: {where} has features of '{name}'")
        try:
            kind = complete_backbone(BACKBONES.load(name), name)
        except UsageError as error:
            raise UsageError(f"{where}: {error}; name the file that registers it: --backbone FILE.py") from error
        made = merged({"backbone": kind.Config, "flow": FlowSettings}, [
            Layer(where, {"backbone": record["config"], "flow": record.get("flow", {})})
        ])  # fmt: skip
        streams = tuple(record.get("streams", kind.inputs[:1]))
        identities = dict(zip(streams, record.get("weights", ()), strict=False))
        words = weights or _obtainable(kind, identities, where)
        found = resolve_weights(kind, streams, words, reporter, made["backbone"])
        for stream, each in found.items():
            if each.identity != identities[stream]:
                raise UsageError(
                    f"{where}: its features were made with weights {identities[stream]} ({stream}), these are "
                    f"{each.identity}; name the right file: --weights FILE"
                )
        settings = cls(
            backbone=name,
            config=made["backbone"],
            windows=SnippetWindows(record["window"], record["stride"], record["offset"]),
            fps=record["fps"],
            frames=record.get("frames"),
            dtype=record["dtype"],
            streams=streams,
            flow=made["flow"],
            images_fps=images_fps or record.get("images_fps", record["fps"]),
            precision=record.get("precision", "float32"),
            weights=tuple(found.values()),
            asked_for=backbone or name,
            backbone_file=_checksum(backbone or name),
        )
        if settings.backbone_file != record.get(BACKBONE_FILE):
            raise UsageError(f"{where}: the file of the backbone has changed since its features were made")
        return settings

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
        elif self.streams != ("rgb",):
            facts["streams"] = self.streams
        if self.frames is not None:
            facts["frames"] = self.frames
        if "flow" in self.streams:
            facts["flow"] = asdict(self.flow)
            if self.fps is not None:  # Earlier versions measured it between the pictures that they had resampled.
                facts["flow_fps"] = OWN_RATE
        if self.backbone_file:
            facts[BACKBONE_FILE] = self.backbone_file
        return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode()

    def backbone_class(self) -> type[Backbone]:
        """The class of the backbone; raises UsageError where its file is another one than when these were made."""
        kind: type[Backbone] = BACKBONES.load(self.backbone)
        if self.backbone_file != _checksum(self.asked_for):
            raise UsageError(f"{self.asked_for} was changed while features were extracted with it")
        return kind

    def __reduce__(self) -> tuple[Callable[..., "ExtractionSettings"], tuple[str, bytes]]:
        # In another process the file of a backbone is imported first: its config is of a class that stands there.
        return _unpickled, (self.asked_for or self.backbone, pickle.dumps(vars(self)))


def _obtainable(kind: type[Backbone], identities: Mapping[Stream, str], where: str) -> list[str]:
    """What `--weights` would say to get weights of these identities without a file of the user's.

    Raises UsageError where there is none.
    """
    words = []
    for stream, identity in identities.items():
        if identity == RANDOM:
            words.append(f"{stream}={RANDOM}")
        elif stream in kind.published and identity.startswith(kind.published[stream].checksum):
            words.append(f"{stream}={AUTO}")
        else:
            raise UsageError(
                f"{where}: its features were made with weights {identity} ({stream}); name their file: --weights FILE"
            )
    return words


def _checksum(asked_for: str) -> str | None:
    """The checksum of a backbone that was asked for by its file; None for others."""
    return _checksum_once(Path(asked_for).resolve()) if asked_for.endswith(".py") else None


@cache
def _checksum_once(path: Path) -> str:
    """As a process imports a file once, it is what was in it then that counts."""
    try:
        return digest(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _unpickled(backbone: str, content: bytes) -> ExtractionSettings:
    BACKBONES.load(backbone)
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


def _streams(name: str, kind: type[Backbone], wanted: str | None) -> tuple[Stream, ...]:
    if wanted is None:
        return kind.inputs[:1]
    chosen: tuple[Stream, ...] = ("rgb", "flow") if wanted == "both" else ("flow",) if wanted == "flow" else ("rgb",)
    missing = [stream for stream in chosen if stream not in kind.inputs]
    if missing:
        known = " or ".join(kind.inputs)
        raise UsageError(f"--stream {wanted}: {name} sees {known} only; i3d, i3d-r50 and tsn see both (--backbone)")
    return chosen


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
