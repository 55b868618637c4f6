"""`--backbone efficientnet-lite0,hog3d`: each gives what it gives alone, and what is said finds the right one."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from short_videos import Mean, write_video

from taltool.backbones.contract import Backbone
from taltool.data.hdf5_features import FeatureFile
from taltool.errors import UsageError
from taltool.extraction.encoder import Encoder
from taltool.extraction.extract import extract
from taltool.extraction.pipeline import Outcome, extract_features
from taltool.extraction.resources import Concurrency
from taltool.extraction.resume import what_changed
from taltool.extraction.settings import ExtractionSettings
from taltool.video.flow import FlowSettings
from taltool.video.frames import FrameFormat
from taltool.video.snippet_windows import SnippetWindows
from taltool.video.sources import VideoSource, find

RANDOM = ("random",)
# A backbone of somebody's own: the mean of each colour, of each snippet for itself.
MINE = '''
"""Mean colours."""

from dataclasses import dataclass

import numpy as np

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone
from taltool.video.frames import FrameFormat


@dataclass(frozen=True)
class Config:
    scale: float = 1.0


@BACKBONES.register("{name}")
class Mine(Backbone):
    Config = Config
    window, stride = 16, 4
    frame_format = FrameFormat("rgb", short_side=24)
    streams = {{"mean": (0, 3)}}

    def encode_snippets(self, snippets):
        return snippets.mean((1, 2, 3), dtype=np.float32) * np.float32(self.config.scale)
'''


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, length in enumerate((5, 33, 60)):
        write_video(folder / f"{number}.mp4", length, seed=number)
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE.format(name=f"mine-{tmp_path.name.replace('_', '-')}"))
    return path


def values(path: Path) -> dict[str, NDArray[np.floating[Any]]]:
    with FeatureFile(str(path)) as file:
        return {video_id: file.read(video_id) for video_id in file.ids}


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_each_gives_what_it_gives_alone_to_the_last_digit(videos: Path, tmp_path: Path, mine: Path, jobs: int) -> None:
    for name, word in {"mine": str(mine), "hog3d": "hog3d", "both": f"{mine},hog3d"}.items():
        extract(videos, output=tmp_path / f"{name}.h5", backbone=word, jobs=jobs)
    alone = [values(tmp_path / f"{name}.h5") for name in ("mine", "hog3d")]
    for video_id, joined in values(tmp_path / "both.h5").items():
        np.testing.assert_array_equal(joined, np.concatenate([each[video_id] for each in alone], axis=1))


@pytest.mark.slow
def test_networks_beside_hog3d_give_what_they_give_alone(videos: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    small = [f"{name}.{key}=32" for name in ("efficientnet-lite0", "tsn") for key in ("crop", "short_side")]
    words: dict[str, Any] = {"window": 16, "stride": 8, "weights": RANDOM, "jobs": 1}
    names = ("hog3d", "efficientnet-lite0", "tsn")
    for name in names:
        set_ = [each.replace(name, "backbone") for each in small if each.startswith(name)]
        extract(
            videos,
            output=tmp_path / f"{name}.h5",
            backbone=name,
            set_=set_,
            **words | {"weights": RANDOM * (name != "hog3d")},
        )
    extract(videos, output=tmp_path / "every.h5", backbone=",".join(names), set_=small, **words)
    extract(videos, output=tmp_path / "networks.h5", backbone=",".join(names[1:]), set_=small, **words)
    alone = [values(tmp_path / f"{name}.h5") for name in names]
    every, networks = values(tmp_path / "every.h5"), values(tmp_path / "networks.h5")
    assert [rows.shape for rows in every.values()] == [(1, 3628), (3, 3628), (6, 3628)]
    for video_id, joined in every.items():
        np.testing.assert_array_equal(joined, np.concatenate([each[video_id] for each in alone], axis=1))
        np.testing.assert_array_equal(networks[video_id], joined[:, 300:])


def test_the_file_says_which_channels_are_whose(videos: Path, tmp_path: Path, mine: Path) -> None:
    extract(videos, output=tmp_path / "f.h5", backbone=f"{mine}, hog3d")
    name = f"mine-{tmp_path.name.replace('_', '-')}"
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert file.streams == {name: (0, 3), "hog3d": (3, 303)}
        assert file.attributes["backbone"] == f"{name},hog3d"


class Whole(Backbone):
    """Sees whole videos; gives as many rows of ones as it is told to, or one a snippet."""

    frame_format = FrameFormat("gray", short_side=16)
    streams: ClassVar = {"whole": (0, 2)}

    def __init__(self, rows: int | None = None) -> None:
        super().__init__(None)
        self.rows = rows

    def encode(self, pictures: Any, windows: SnippetWindows, threads: Any = None) -> Iterator[NDArray[np.float32]]:
        count = windows.count(len(list(pictures)))
        yield np.ones((count if self.rows is None else self.rows, 2), np.float32)


class Sideways(Backbone):
    """Sees flow, up to its own bound."""

    frame_format = FrameFormat("gray", short_side=48)
    inputs = ("rgb", "flow")
    streams: ClassVar = {"flow": (0, 2)}

    def __init__(self, bound: float) -> None:
        super().__init__(None, "flow")
        self.flow_bound = bound  # type: ignore[misc]

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.abs(snippets - np.float32(128)).mean((1, 2, 3), dtype=np.float32)


SETTINGS = ExtractionSettings.of()


def run(
    videos: Path, *backbones: Backbone, batch: int = 1, names: tuple[str, ...] = (), threads: int = 1
) -> list[Outcome]:
    encoder = Encoder(backbones, FlowSettings("dis", "ultrafast"), SETTINGS.windows, batch, names)
    return list(extract_features(find([str(videos)])[0], SETTINGS, encoder, Concurrency(threads=threads)))


def rows(outcomes: list[Outcome]) -> list[list[list[float]]]:
    return [each.features.values.tolist() for each in outcomes if each.features is not None]


@pytest.mark.parametrize("batch", [0, 3])
@pytest.mark.parametrize("threads", [1, 3])
def test_whole_videos_snippets_and_flow_may_stand_side_by_side_in_any_order(
    videos: Path, batch: int, threads: int
) -> None:
    kinds: list[Backbone] = [Whole(), Mean(None), Sideways(20.0)]
    alone = [rows(run(videos, kind, batch=batch)) for kind in kinds]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0]):
        joined = rows(run(videos, *(kinds[number] for number in order), batch=batch, threads=threads))
        expected = [
            [[value for n in order for value in alone[n][video][snippet]] for snippet in range(len(alone[0][video]))]
            for video in range(len(alone[0]))
        ]
        assert joined == expected


class Runs(Mean):
    """Encodes three neighbours at once, and tells in its features how many there were."""

    def run_length(self, windows: SnippetWindows) -> int:
        return 3

    def encode_run(self, pictures: NDArray[np.uint8], windows: SnippetWindows) -> NDArray[np.float32]:
        features = super().encode_run(pictures, windows)
        return features + np.float32(1000 * len(features))


@pytest.mark.parametrize("other", [Mean(None), Whole()])
def test_runs_are_as_long_as_they_are_alone(videos: Path, other: Backbone) -> None:
    alone, joined = rows(run(videos, Runs(None), batch=0)), rows(run(videos, other, Runs(None), batch=0))
    assert [[row[-1:] for row in video] for video in joined] == alone
    assert any(value > 3000 for video in alone for (value,) in video)


def test_each_stream_of_flow_has_its_own_bound(videos: Path) -> None:
    narrow, wide = Sideways(2.0), Sideways(40.0)
    joined = rows(run(videos, narrow, wide, names=("a", "b")))
    assert joined == [
        [[*a, *b] for a, b in zip(*each, strict=True)]
        for each in zip(rows(run(videos, narrow)), rows(run(videos, wide)), strict=True)
    ]
    assert all(a > b for video in joined for a, _, b, _ in video)


@pytest.mark.parametrize("wrong", [0, 3, 20])
@pytest.mark.parametrize("first", [True, False])
def test_a_backbone_that_gives_too_few_rows_or_too_many_is_named(videos: Path, wrong: int, first: bool) -> None:
    backbones = [("whole", Whole(wrong)), ("mean", Mean(None))][:: 1 if first else -1]
    with pytest.raises(UsageError, match=f"backbone 'whole', stream rgb: gave features of {wrong} snippets of a vid"):
        run(videos, *(each for _, each in backbones), names=tuple(name for name, _ in backbones))


def test_streams_are_called_what_their_backbones_are_or_what_these_call_them() -> None:
    def streams(*named: tuple[str, Backbone]) -> dict[str, tuple[int, int]]:
        names, backbones = zip(*named, strict=True)
        return Encoder(backbones, FlowSettings("dis"), SETTINGS.windows, 1, names).streams

    mean, whole, sideways = ("mine", Mean(None)), ("hog", Whole()), ("mine", Sideways(20.0))
    assert streams(mean) == {"mean": (0, 1)}
    assert streams(mean, sideways) == {"mean": (0, 1), "flow": (1, 3)}
    assert streams(mean, whole) == {"mine": (0, 1), "hog": (1, 3)}
    assert streams(mean, sideways, whole) == {"mine-mean": (0, 1), "mine-flow": (1, 3), "hog": (3, 5)}


def test_only_pictures_that_a_backbone_looks_at_are_made_for_it(videos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from taltool.video import frames

    class Middle(Mean):
        frame_format = FrameFormat("rgb", short_side=16)

        def positions(self, windows: SnippetWindows) -> list[int]:
            return [8]

    converted: list[str] = []
    real = frames._pixels
    monkeypatch.setattr(frames, "_pixels", lambda frame: converted.append(frame.format.name) or real(frame))
    run(videos / "2.mp4", Whole(), Middle(None))
    # Of 60 frames hog3d's kind wants all; the other the ninth of each window, 8, 12, ... 52, 56 and those before.
    assert converted.count("gray") == 60
    assert converted.count("rgb24") == 9 + len(range(12, 60, 4))


def test_windows_are_those_that_all_prefer_or_must_be_said() -> None:
    assert ExtractionSettings.of("efficientnet-lite0,hog3d", weights=RANDOM).windows == SnippetWindows(16, 4)
    with pytest.raises(UsageError, match=r"do not agree on --fps \(i3d 25.0, hog3d own\): give one for all"):
        ExtractionSettings.of("i3d,hog3d", weights=RANDOM)
    with pytest.raises(UsageError, match=r"do not agree on --stride \(c3d 8, hog3d 4\)"):
        ExtractionSettings.of("c3d,hog3d", weights=RANDOM)
    assert ExtractionSettings.of("c3d,hog3d", weights=RANDOM, stride=6).windows == SnippetWindows(16, 6)
    assert ExtractionSettings.of("i3d,hog3d", weights=RANDOM, fps="own").fps is None


def test_settings_are_in_sections_of_the_names_of_backbones() -> None:
    set_ = ("hog3d.short_side=64", "efficientnet-lite0.output=logits", "block=8")
    settings = ExtractionSettings.of("efficientnet-lite0,hog3d", weights=RANDOM, set_=set_)
    appearance, motion = (each.config for each in settings.backbones)
    assert (appearance.output, appearance.short_side, motion.short_side, motion.block) == ("logits", 256, 64, 8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"set_": ["backbone.short_side=64"]},
            "--set backbone.short_side=64: say of which backbone: i3d.NAME or hog3d.NAME",
        ),
        ({"set_": ["short_side=64"]}, "say which: i3d.short_side or hog3d.short_side"),
        ({"set_": ["hog3.block=4"]}, "did you mean 'hog3d'"),
        ({"backbone": "hog3d,hog3d"}, "--backbone hog3d,hog3d: hog3d is there twice"),
        ({"backbone": "i3d,"}, "no backbone is named ''"),
        ({"weights": ()}, "i3d needs weights: --weights auto"),
        (
            {"backbone": "i3d,tsn,hog3d", "weights": ["w.pt"]},
            "--weights w.pt: say of which backbone: --weights i3d=w.pt or --weights tsn=w.pt",
        ),
        ({"weights": ["random", "hog3d=random"]}, "--weights random: hog3d has no weights"),
        ({"stream": "flow"}, "--stream flow: hog3d sees rgb only"),
        ({"backbone": "c3d,hog3d", "stream": "both"}, "--stream both: c3d sees rgb only"),
    ],
)
def test_what_could_mean_several_backbones_or_none_is_refused(words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ExtractionSettings.of(**{"backbone": "i3d,hog3d", "weights": RANDOM, "fps": 25.0, "stride": 4} | words)


def test_weights_are_for_the_backbone_that_is_named_or_the_only_one_that_has_any(tmp_path: Path) -> None:
    settings = ExtractionSettings.of(
        "tsn,i3d,hog3d", weights=["tsn=random", "i3d=rgb=random"], window=16, stride=4, fps=25.0
    )
    assert [len(each.weights) for each in settings.backbones] == [1, 1, 0]
    with pytest.raises(Exception, match=r"gone\.pt: No such file"):
        ExtractionSettings.of("i3d,hog3d", weights=[str(tmp_path / "gone.pt")], fps=25.0)
    with pytest.raises(Exception, match=r"gone\.pt: No such file"):
        ExtractionSettings.of("tsn,i3d", weights=["random", "i3d=gone.pt"], window=16, stride=4, fps=25.0)


def test_both_streams_are_of_the_backbones_that_see_both() -> None:
    settings = ExtractionSettings.of("i3d,hog3d", stream="both", weights=RANDOM, fps="own")
    assert [each.streams for each in settings.backbones] == [("rgb", "flow"), ("rgb",)]


def test_a_preset_of_several_is_cut_to_those_that_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('name = "tsn,hog3d"\n[snippets]\nwindow = 16\nstride = 6\n[hog3d]\nblock = 8\n')
    joined = ExtractionSettings.of(preset=str(path), weights=RANDOM)
    assert (joined.backbone, joined.windows.stride, joined.backbones[1].config.block) == ("tsn,hog3d", 6, 8)
    alone = ExtractionSettings.of("hog3d", preset=str(path))
    assert (alone.windows.stride, alone.backbones[0].config.block) == (6, 4)
    path.write_text('name = "tsn,hog3d"\n[backbone]\nblock = 8\n')
    with pytest.raises(UsageError, match=r"my\.toml: say of which backbone: tsn\.NAME or hog3d\.NAME"):
        ExtractionSettings.of(preset=str(path), weights=RANDOM, window=16, stride=4)


def test_appearance_and_motion_is_a_preset() -> None:
    settings = ExtractionSettings.of(preset="appearance-motion", weights=RANDOM)
    assert (settings.backbone, settings.windows, settings.fps) == (
        "efficientnet-lite0,hog3d",
        SnippetWindows(16, 4),
        None,
    )


def test_the_record_tells_what_is_whose_and_changes_with_any_of_it() -> None:
    made = [
        ExtractionSettings.of(**{"backbone": "tsn,hog3d", "window": 16, "stride": 4, "weights": RANDOM} | words)
        for words in (
            {},
            {"backbone": "hog3d,tsn"},
            {"set_": ["hog3d.block=8"]},
            {"set_": ["tsn.crop=112"]},
            {"stream": "both"},
            {"precision": "fp16"},
        )
    ]
    assert len({settings.record() for settings in made}) == len(made)
    facts = json.loads(made[0].record())
    assert facts["backbone"] == "tsn,hog3d"
    assert facts["tsn.weights"] == ["random"]
    assert json.loads(made[4].record())["tsn.streams"] == ["rgb", "flow"]
    assert facts["hog3d.config"]["block"] == 4


def test_settings_of_several_are_made_again_from_their_record(mine: Path) -> None:
    of_several = {"window": 16, "stride": 4, "fps": "own", "set_": ["hog3d.block=8"]}
    settings = ExtractionSettings.of(f"tsn,{mine},hog3d", weights=RANDOM, stream="both", flow="dis", **of_several)
    record, name = json.loads(settings.record()), settings.backbones[1].name
    assert ExtractionSettings.from_record(record, "m", backbone=str(mine)) == settings
    assert ExtractionSettings.from_record(record, "m", backbone=f"hog3d,{mine}", weights=["tsn=random"]) == settings
    with pytest.raises(UsageError, match=f"--backbone i3d: m has features of 'tsn,{name},hog3d'"):
        ExtractionSettings.from_record(record, "m", backbone=f"{mine},i3d")
    with pytest.raises(UsageError, match="m: the file of the backbone has changed since its features were made"):
        ExtractionSettings.from_record(record | {f"{name}.backbone_file": "sha256:0"}, "m", backbone=str(mine))
    with pytest.raises(UsageError, match=r"made with weights sha256:1 \(rgb\); name their file"):
        ExtractionSettings.from_record(record | {"tsn.weights": ["sha256:1", "random"]}, "m", backbone=str(mine))


def test_settings_travel_to_another_process_with_the_files_of_their_backbones(mine: Path) -> None:
    settings = ExtractionSettings.of(f"hog3d,{mine}")
    again = pickle.loads(pickle.dumps(settings))
    assert again == settings
    assert again.record() == settings.record()


def test_a_backbone_whose_file_has_changed_is_named(mine: Path) -> None:
    now = ExtractionSettings.of(f"hog3d,{mine}").record()
    then = json.loads(now)
    [key] = [key for key in then if key.endswith("backbone_file")]
    name = key.removesuffix(".backbone_file")
    then[key] = "sha256:0"
    assert what_changed(now, json.dumps(then)) == f"the file of backbone {name} has changed"
    other = json.dumps(then | {"stride": 8})
    assert what_changed(now, other) == f"the file of backbone {name} has changed; now stride 4 instead of 8"


def test_a_file_is_extended_and_refused_where_settings_differ(videos: Path, tmp_path: Path, mine: Path) -> None:
    output, one = tmp_path / "f.h5", VideoSource("0", str(videos / "0.mp4"))
    extract(one, output=output, backbone=f"hog3d,{mine}")
    assert extract(videos, output=output, backbone=f"hog3d,{mine}").new == 2
    with pytest.raises(UsageError, match=r"other settings \(now backbone .* instead of hog3d,mine"):
        extract(videos, output=output, backbone=f"{mine},hog3d")
    with pytest.raises(UsageError, match=r"other settings \(now hog3d.config \{'block': 8, .* instead of \{'block': 4"):
        extract(videos, output=output, backbone=f"hog3d,{mine}", set_="hog3d.block=8")
