"""What is said of an extraction, in layers, becomes settings; presets cut snippets as the papers do."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from project import PROJECT

from taltool.backbones import BACKBONES
from taltool.errors import DataError, UsageError
from taltool.extraction.backbone_settings import BackboneSettings
from taltool.extraction.resume import what_changed
from taltool.extraction.settings import ExtractionSettings, preset_names, read_preset, read_rate

RANDOM = ("random",)


def weights_of(preset: str | None) -> tuple[str, ...]:
    """What `--weights` says for trials of a preset."""
    return () if preset is None or preset.endswith("-frames") else RANDOM


# From the papers: frame rate (None = the video's own), window (None = any), stride; papers' names of the networks.
PAPERS: dict[str, tuple[str, float | None, int | None, int]] = {
    "afsd-thumos14": ("i3d", 10.0, None, 4),
    "afsd-activitynet13": ("i3d", None, None, 8),
    "amnet-thumos14": ("i3d", None, 16, 4),
    "amnet-activitynet13": ("i3d", None, 16, 16),
    "gsmt-thumos14": ("i3d", None, None, 5),
    "gsmt-activitynet13": ("i3d", None, None, 5),
    "gsmt-activitynet13-ts": ("tsn", None, None, 16),
    "mgnet-thumos14": ("tsn", None, None, 5),
    "mgnet-thumos14-c3d": ("c3d", None, 16, 5),
    "mgnet-activitynet13": ("tsn", None, None, 16),
    "tsa-tal-thumos14": ("i3d-r50", 10.0, None, 1),
    "tsa-tal-activitynet12": ("i3d-r50", 10.0, None, 8),
    "afsd-thumos14-frames": ("frames", 10.0, 1, 1),
    "afsd-activitynet13-frames": ("frames", None, 1, 1),
    "tsa-tal-thumos14-frames": ("frames", 10.0, 1, 1),
    "tsa-tal-activitynet12-frames": ("frames", None, 1, 1),
}
# Frames that the whole video becomes, where that is how it is sampled.
FRAMES_PER_VIDEO = {
    "afsd-activitynet13": 768,
    "afsd-activitynet13-frames": 768,
    "tsa-tal-activitynet12-frames": 128,
}
# Presets that follow no paper: their features are those of tests/extraction/test_several_backbones.py.
OURS = ["appearance-motion"]


def only(settings: ExtractionSettings) -> BackboneSettings:
    """The settings of the one backbone."""
    [backbone] = settings.backbones
    return backbone


@pytest.mark.parametrize("name", sorted({*preset_names()} - {*OURS}))
def test_a_preset_cuts_as_its_paper_says(name: str) -> None:
    settings = ExtractionSettings.of(preset=name, weights=weights_of(name))
    backbone, fps, window, stride = PAPERS[name]
    assert (settings.backbone, settings.fps, settings.windows.stride) == (backbone, fps, stride)
    assert window in (None, settings.windows.window)
    assert settings.frames == FRAMES_PER_VIDEO.get(name)
    made = only(settings)
    BACKBONES.load(made.name)(made.config, made.streams[0]).check(settings.windows)


def test_two_stream_presets_take_colours_first() -> None:
    assert only(ExtractionSettings.of(preset="amnet-thumos14", weights=RANDOM)).streams == ("rgb", "flow")


@pytest.mark.parametrize("name", ["afsd-thumos14", "afsd-activitynet13", "tsa-tal-thumos14", "tsa-tal-activitynet12"])
def test_frames_are_of_both_streams_and_squeezed_as_their_papers_say(name: str) -> None:
    made = only(ExtractionSettings.of(preset=f"{name}-frames"))
    assert made.streams == ("rgb", "flow")
    for stream in made.streams:
        assert made.load()(made.config, stream).frame_format.size(240, 320) == (112, 112)


def test_options_win_over_the_preset_and_set_over_all() -> None:
    settings = ExtractionSettings.of(
        preset="afsd-thumos14",
        stride=2,
        stream="rgb",
        set_=("snippets.window=24", "backbone.crop=112", "bound=32"),
        weights=RANDOM,
    )
    assert (settings.fps, settings.windows.stride, settings.windows.window) == (10.0, 2, 24)
    assert (only(settings).config.crop, settings.flow.bound, only(settings).streams) == (112, 32.0, ("rgb",))


def test_a_preset_with_another_backbone_keeps_only_how_snippets_are_cut() -> None:
    settings = ExtractionSettings.of(backbone="hog3d", preset="tsa-tal-thumos14", stream="rgb")
    assert (settings.backbone, settings.fps, only(settings).config.short_side) == ("hog3d", 10.0, 96)


def test_a_preset_may_be_a_file_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "hog3d"\n[snippets]\nstride = 7\n[backbone]\nblock = 8\n')
    settings = ExtractionSettings.of(preset=str(path))
    assert (settings.backbone, settings.windows.stride, only(settings).config.block) == ("hog3d", 7, 8)
    assert read_preset(str(path))[0] == "hog3d"
    with pytest.raises(DataError, match="No such file"):
        ExtractionSettings.of(preset=str(tmp_path / "absent.toml"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"preset": "afsd-thumos"}, "did you mean 'afsd-thumos14'"),
        ({"set_": ("backbone.blok=8",)}, "did you mean 'block'"),
        ({"set_": ("backbone.block=eight",)}, "expected a whole number"),
        ({"set_": ("snippets.fps=inf",)}, "snippets.fps: expected a finite number, found inf"),
        ({"set_": ("flow.bound=nan",)}, "flow.bound: expected a finite number, found nan"),
        ({"set_": ("snipets.stride=8",)}, "did you mean 'snippets'"),
        ({"set_": ("stride",)}, "expected SECTION.NAME=VALUE"),
        ({"flow": "dis-slow"}, "none of ultrafast, fast, medium"),
        ({"flow": "farneback"}, "none of tvl1, dis"),
        ({"backbone": "i3"}, "did you mean 'i3d'"),
        ({"stream": "flow"}, "hog3d sees rgb only"),
        ({"weights": RANDOM}, "no weights"),
        ({"backbone": "i3d"}, "--weights auto fetches"),
    ],
)
def test_what_is_wrong_is_named_with_a_mend(words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ExtractionSettings.of(**words)


RATES = [("25", 25.0), ("29.97", 29.97), ("own", "own"), ("768/video", "768/video"), (None, None)]


@pytest.mark.parametrize(("text", "rate"), RATES)
def test_a_rate_is_a_number_or_the_videos_own_or_a_number_of_frames(text: str | None, rate: object) -> None:
    assert read_rate(text) == rate


@pytest.mark.parametrize("fps", [0.0, -1.0, 1001.0, float("nan")])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(UsageError, match="above 0 and at most 1000"):
        ExtractionSettings.of(fps=fps)
    with pytest.raises(UsageError, match="--images-fps"):
        ExtractionSettings.of(images_fps=fps)


@pytest.mark.parametrize("word", ["fast", "0/video", "-1/video", "7.5/video", "768/videos", "/video", ""])
def test_a_word_that_is_no_rate_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match=f"--fps {word}: expected frames a second, own, or N/video"):
        read_rate(word)
    with pytest.raises(UsageError, match="expected frames a second, own, or N/video"):
        ExtractionSettings.of(set_=(f"snippets.fps={word}",))


def test_a_number_of_frames_and_a_rate_win_over_each_other_by_layer() -> None:
    assert ExtractionSettings.of(preset="afsd-activitynet13", fps=10.0, weights=RANDOM).fps == 10.0
    assert ExtractionSettings.of(preset="afsd-activitynet13", fps=10.0, weights=RANDOM).frames is None
    of_video = ExtractionSettings.of(preset="afsd-thumos14", fps="64/video", weights=RANDOM)
    assert (of_video.fps, of_video.frames, of_video.images_fps) == (None, 64, None)


def test_a_backbone_prefers_the_rate_of_its_checkpoint_unless_told_otherwise() -> None:
    assert ExtractionSettings.of("i3d", weights=RANDOM).fps == 25.0
    assert ExtractionSettings.of("i3d", weights=RANDOM, fps="own").fps is None


def test_images_lie_at_the_rate_that_is_given_unless_they_have_one_of_their_own() -> None:
    assert ExtractionSettings.of(fps=12.0).images_fps == 12.0
    assert ExtractionSettings.of(fps=12.0, images_fps=24.0).images_fps == 24.0
    # A preset's rate is one to resample to; it tells nothing about images.
    assert ExtractionSettings.of(preset="afsd-thumos14", weights=RANDOM).images_fps is None


def test_all_that_changes_features_changes_the_record() -> None:
    made = [
        ExtractionSettings.of(),
        ExtractionSettings.of(stride=8),
        ExtractionSettings.of(fps=10.0),
        ExtractionSettings.of(fps=10.0, images_fps=20.0),
        ExtractionSettings.of(fps="10/video"),
        ExtractionSettings.of(fps="11/video"),
        ExtractionSettings.of("i3d", weights=RANDOM),
        ExtractionSettings.of("i3d", weights=RANDOM, precision="bf16"),
        ExtractionSettings.of("i3d", weights=RANDOM, stream="flow"),
        ExtractionSettings.of("i3d", weights=RANDOM, stream="both"),
        ExtractionSettings.of("i3d", weights=RANDOM, stream="flow", flow="dis"),
    ]
    assert len({settings.record() for settings in made}) == len(made)


def test_the_record_of_the_default_is_that_of_the_first_version() -> None:
    assert ExtractionSettings.of(stride=8).record() == (
        '{"backbone":"hog3d","config":{"block":4,"compensate":true,"grids":[1,3],"half_orientation":true,'
        '"short_side":96,"temporal_cells":3,"threshold":0.5},"dtype":"float32","fps":null,"offset":0,"stride":8,'
        '"window":16}'
    )


def test_every_preset_is_documented() -> None:
    page = (PROJECT / "man" / "man1" / "taltool-extract.1").read_text(encoding="utf-8").replace("\\-", "-")
    assert [name for name in preset_names() if name not in page] == []


def test_a_process_that_finds_another_file_of_the_backbone_says_so() -> None:
    backbone = only(ExtractionSettings.of())
    assert backbone.file is None
    assert backbone.load() is BACKBONES.load("hog3d")
    with pytest.raises(UsageError, match="was changed while features were extracted with it"):
        replace(backbone, file="sha256:0").load()


@pytest.mark.parametrize("before", ["by hand", "[]", "{}"])
def test_what_changed_is_said_of_any_record(before: str) -> None:
    assert what_changed(ExtractionSettings.of().record(), before).startswith("now ")


@pytest.mark.parametrize("name", [None, *preset_names()])
def test_settings_are_made_again_from_their_record(name: str | None) -> None:
    dtype: Any = "float32" if name and name.endswith("-frames") else "float16"
    settings = ExtractionSettings.of(preset=name, weights=weights_of(name), dtype=dtype, offset=3)
    record = json.loads(settings.record())
    again = ExtractionSettings.from_record(record, "m.safetensors")
    assert again.record() == settings.record()
    assert again == replace(settings, images_fps=again.images_fps)


def test_a_backbone_of_ones_own_is_named_again_and_must_be_the_same(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from taltool.backbones import BACKBONES\nfrom taltool.backbones.hog3d import HOG3D\n"
        "@BACKBONES.register('named_again')\nclass Again(HOG3D):\n    pass\n"
    )
    settings = ExtractionSettings.of(str(own))
    record = json.loads(settings.record())
    assert ExtractionSettings.from_record(record, "m", backbone=str(own)).record() == settings.record()
    with pytest.raises(UsageError, match=r"m: no backbone is named 'gone'.*--backbone FILE\.py"):
        ExtractionSettings.from_record(record | {"backbone": "gone"}, "m")
    with pytest.raises(UsageError, match="m: the file of the backbone has changed since its features were made"):
        ExtractionSettings.from_record(record | {"backbone_file": "sha256:0"}, "m", backbone=str(own))
    with pytest.raises(UsageError, match=r"--backbone .*own\.py: m has features of 'hog3d'"):
        ExtractionSettings.from_record(json.loads(ExtractionSettings.of().record()), "m", backbone=str(own))


def test_weights_are_those_that_were_recorded_or_refused(tmp_path: Path) -> None:
    record = json.loads(ExtractionSettings.of("tsn", weights=RANDOM).record())
    other = record | {"weights": ["sha256:" + "0" * 64]}
    with pytest.raises(UsageError, match=r"m: its features were made with weights sha256:0+ \(rgb\); name their file"):
        ExtractionSettings.from_record(other, "m")
    with pytest.raises(UsageError, match=r"made with weights sha256:0+ \(rgb\), these are random; name the right file"):
        ExtractionSettings.from_record(other, "m", weights=["random"])
