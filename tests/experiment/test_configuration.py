"""Settings in layers: what wins, what is refused, and that the printed TOML is read back as it was."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taltool.errors import DataError, UsageError
from taltool.experiment.configuration import Layer, build, from_plain, override_layer, read_config, to_plain, to_toml
from taltool.experiment.settings import Experiment
from taltool.ops.nms_settings import Method


@dataclass(frozen=True)
class Inner:
    """Settings inside settings."""

    depth: int = 3


@dataclass(frozen=True)
class Config:
    """Every kind of setting that a model may have."""

    width: int = 8
    name: str = "plain"
    kind: Literal["one", "two"] = "one"
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[float, str] = (0.5, "x")
    limit: float | None = None
    is_open: bool = False
    epochs_to_freeze: int = 0
    batch_size: int = 1
    inner: Inner = field(default_factory=Inner)


def with_set(*texts: str) -> Experiment:
    return build("model", Config, [override_layer(text, Config) for text in texts])


def test_later_layers_win_over_earlier_ones_and_over_defaults() -> None:
    layers = [
        Layer("preset", {"training": {"epochs": 5, "learning_rate": 0.1}, "model": {"width": 4}}),
        Layer("file", {"training": {"epochs": 6}}),
    ]
    experiment = build("model", Config, [*layers, override_layer("training.epochs=7", Config)])
    assert experiment.training.epochs == 7
    assert experiment.training.learning_rate == 0.1
    assert experiment.model.width == 4
    assert experiment.training.momentum == 0.9


@pytest.mark.parametrize(
    ("text", "section", "name", "value"),
    [
        ("model.width=16", "model", "width", 16),
        ("width=16", "model", "width", 16),
        ("kind=two", "model", "kind", "two"),
        ("sizes=[4, 5, 6]", "model", "sizes", (4, 5, 6)),
        ("sizes=4", "model", "sizes", (4,)),
        ("pair=[1, 'b']", "model", "pair", (1.0, "b")),
        ("limit=2", "model", "limit", 2.0),
        ("limit=none", "model", "limit", None),
        ("is_open=true", "model", "is_open", True),
        ("inner={depth = 9}", "model", "inner", Inner(9)),
        ("name=two words", "model", "name", "two words"),
        ("learning_rate=1", "training", "learning_rate", 1.0),
        ("training.learning_rate=1e-4", "training", "learning_rate", 1e-4),
        ("nms.method=soft-linear", "nms", "method", Method.soft_linear),
        ("streams=rgb", "sampling", "streams", ("rgb",)),
    ],
)
def test_set_changes_one_setting(text: str, section: str, name: str, value: object) -> None:
    found = getattr(getattr(with_set(text), section), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.epoch=4", "no such setting in 'training'; did you mean 'epochs'?"),
        ("wdith=4", "no such setting; did you mean 'width'?"),
        ("trainig.epochs=4", "no such section 'trainig'; did you mean 'training'?"),
        ("batch_size=4", "say which: model.batch_size or training.batch_size"),
        ("epochs=many", "expected a whole number, found 'many'"),
        ("epochs=1.5", "expected a whole number, found 1.5"),
        ("epochs=true", "expected a whole number, found True"),
        ("is_open=1", "expected true or false, found 1"),
        ("learning_rate=fast", "expected a number, found 'fast'"),
        ("kind=tow", "'tow' is none of one, two; did you mean 'two'?"),
        ("optimizer=adanw", "is none of adam, adamw, sgd; did you mean 'adamw'?"),
        ("nms.method=sofd", "is none of hard, soft-linear, soft-gaussian, soft-width"),
        ("pair=[1]", "expected 2 values, found 1"),
        ("sizes=[1, x]", "expected a whole number"),
        ("inner={deep = 1}", "no such setting; did you mean 'depth'?"),
        ("epochs", "expected SECTION.NAME=VALUE"),
        ("epochs=-1", "must not be negative"),
        ("ema_decay=1.0", "ema_decay must lie in [0, 1)"),
        ("time_dropout=1.0", "time_dropout must lie in [0, 1)"),
        ("mixup=-0.5", "mixup must not be negative"),
        ("nms.tiou=2.0", "expected a tIoU between 0 and 1"),
    ],
)
def test_set_refuses_what_it_does_not_understand_and_says_what_it_may_have_meant(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_set(text)
    assert message in str(caught.value)


def test_a_layer_of_a_preset_is_checked_as_well() -> None:
    with pytest.raises(UsageError, match=r"preset x: training\.epochz: no such setting; did you mean 'epochs'"):
        build("model", Config, [Layer("preset x", {"training": {"epochz": 1}})])


def test_a_broken_config_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("[training\n")
    with pytest.raises(DataError, match=r"a\.toml: not TOML"):
        read_config(str(path))
    path.write_text("epochs = 4\n")
    with pytest.raises(UsageError, match="'epochs' stands outside a section"):
        read_config(str(path))
    with pytest.raises(DataError, match="No such file"):
        read_config(str(tmp_path / "b.toml"))


NOT_FINITE = ("nan", "inf", "-inf", "1e999", "1" + "0" * 400)


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("prediction.min_score", "prediction.min_score"),
        ("training.learning_rate", "training.learning_rate"),
        ("nms.sigma", "nms.sigma"),
        ("limit", "model.limit"),
    ],
)
def test_a_setting_that_is_not_finite_is_refused(key: str, where: str, value: str) -> None:
    with pytest.raises(UsageError, match=rf"--set {key}={value}: {where}: expected a finite number, found"):
        with_set(f"{key}={value}")


@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_file_with_a_setting_that_is_not_finite_is_refused(tmp_path: Path, value: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f"[training]\nselect_tious = [0.5, {value}]\n")
    _, layer = read_config(str(path))
    with pytest.raises(UsageError, match=r"a\.toml: training\.select_tious\[1\]: expected a finite number"):
        build("model", Config, [layer])


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda word: word != "none")


@given(
    width=st.integers(-(2**53), 2**53),
    name=words,
    sizes=st.lists(st.integers(0, 99), max_size=3),
    limit=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    number=st.floats(allow_nan=False, allow_infinity=False),
    is_open=st.booleans(),
    depth=st.integers(0, 9),
)
def test_the_printed_toml_is_read_back_as_it_was(tmp_path_factory, width, name, sizes, limit, number, is_open, depth):  # type: ignore[no-untyped-def]
    config = Config(width, name, "two", tuple(sizes), (number, name), limit, is_open, inner=Inner(depth))
    experiment = Experiment("model", config)
    path = tmp_path_factory.mktemp("toml") / "a.toml"
    path.write_text(to_toml(experiment), encoding="utf-8")
    model, layer = read_config(str(path))
    assert model == "model"
    assert build("model", Config, [layer]) == experiment


def test_the_plain_form_of_a_checkpoint_is_read_back_as_it_was() -> None:
    import orjson

    experiment = with_set("width=5", "limit=0.5", "streams=rgb", "nms.method=hard", "inner={depth = 4}")
    assert from_plain(orjson.loads(orjson.dumps(to_plain(experiment))), Config, "file") == experiment


def test_a_checkpoint_with_a_setting_of_another_version_is_refused() -> None:
    plain = to_plain(Experiment("model", Config()))
    plain["training"]["magic"] = 1
    with pytest.raises(UsageError, match=r"old\.safetensors: training\.magic: no such setting"):
        from_plain(plain, Config, "old.safetensors")


def test_config_file_of_a_windows_editor_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b'\xef\xbb\xbfname = "afsd"\r\n[training]\r\nepochs = 3\r\n')
    name, layer = read_config(str(tmp_path / "x.toml"))
    assert (name, layer.values) == ("afsd", {"training": {"epochs": 3}})
