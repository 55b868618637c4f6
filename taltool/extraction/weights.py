"""Which weights a backbone gets: from `--weights` to networks that are ready to encode.

Importing this module loads no torch, for backbones that need none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taltool.backbones.contract import Backbone, Computing, Stream
from taltool.data.downloads import Published, digest, fetched
from taltool.data.files import refuse_foreign
from taltool.data.packaged import Packaged
from taltool.errors import DataError, UsageError
from taltool.reporting import SILENT, Reporter

AUTO, RANDOM = "auto", "random"


@dataclass(frozen=True)
class Weights:
    """The weights of one network: a file, or None for random ones; identity tells one set of weights from another: the
    file's checksum, and what was changed in it for this stream."""

    path: str | None
    identity: str


def resolve_weights(
    kind: type[Backbone],
    streams: Sequence[Stream],
    words: Sequence[str] = (),
    reporter: Reporter = SILENT,
    config: Any = None,
    name: str = "this backbone",
) -> dict[Stream, Weights]:
    """The weights of each stream, as the values of `--weights` say; nothing for a backbone that has none.

    A word is a file, `auto` (fetched from the publisher, once), `random`, or one of these after `rgb=` or `flow=`; a
    file alone must be for one stream alone. `auto` need not be said where the weights come inside a package. Raises
    UsageError for what is missing or does not apply, DataError where a file cannot be read or fetched, or does not fit
    the network of `config`, where that is given.
    """
    if not kind.needs_weights:
        if words:
            raise UsageError(f"--weights {words[0]}: {name} has no weights")
        return {}
    packaged = {stream: AUTO for stream in streams if isinstance(kind.published.get(stream), Packaged)}
    chosen = packaged | _by_stream(streams, words)
    missing = [stream for stream in streams if stream not in chosen]
    if missing:
        of = f" for {' and '.join(missing)}" if len(streams) > 1 else ""
        sources = [file.url for stream in missing if isinstance(file := kind.published.get(stream), Published)]
        fetch = f"--weights auto fetches {' and '.join(sources)}, " if len(sources) == len(missing) else ""
        read = f"--weights {missing[0]}=FILE" if of else "--weights FILE"
        raise UsageError(f"{name} needs weights{of}: {fetch}{read} reads a checkpoint, --weights random is for trials")
    weights = {stream: _weights(kind, stream, chosen[stream], reporter) for stream in streams}
    if config is not None:
        for stream, each in weights.items():
            if adaptation := _loaded_backbone(kind, config, stream, each).adaptation:
                weights[stream] = replace(each, identity=f"{each.identity} ({adaptation})")
    return weights


def _by_stream(streams: Sequence[Stream], words: Sequence[str]) -> dict[str, str]:
    """The word for each stream, those that name a stream winning."""
    general: dict[str, str] = {}
    named: dict[str, str] = {}
    for word in words:
        stream, equals, value = word.partition("=")
        if equals and stream in ("rgb", "flow"):
            if stream not in streams:
                raise UsageError(f"--weights {word}: --stream does not ask for {stream}")
            named[stream] = value
        elif word not in (AUTO, RANDOM) and len(streams) > 1:
            raise UsageError(f"--weights {word}: say of which stream: --weights rgb={word} or --weights flow={word}")
        else:
            general = dict.fromkeys(streams, word)
    return general | named


def _weights(kind: type[Backbone], stream: Stream, word: str, reporter: Reporter) -> Weights:
    if word == RANDOM:
        return Weights(None, RANDOM)
    if word == AUTO and stream not in kind.published:
        raise UsageError(f"--weights auto: nobody publishes weights of this backbone for {stream}; name a file")
    path = _published_file(kind.published[stream], reporter) if word == AUTO else Path(word)
    try:
        return Weights(str(path), digest(path))
    except OSError as error:
        refuse_foreign(word)
        raise DataError(f"--weights {word}: {error.strerror or error}") from error


def _published_file(published: Published | Packaged, reporter: Reporter) -> Path:
    return published.file() if isinstance(published, Packaged) else fetched(published, reporter)


def words_by_backbone(kinds: Mapping[str, type[Backbone]], words: Sequence[str]) -> dict[str, list[str]]:
    """The values of `--weights` for each of several backbones, by the names that they are registered under.

    What stands after `NAME=` is for that backbone. `auto` and `random` alone are for all that have weights; any other
    word for the only one that has, or else UsageError is raised.
    """
    having = [name for name, kind in kinds.items() if kind.needs_weights] or list(kinds)[:1]
    general: dict[str, list[str]] = {name: [] for name in kinds}
    named: dict[str, list[str]] = {name: [] for name in kinds}
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in kinds:
            named[name].append(value)
        elif word not in (AUTO, RANDOM) and len(having) > 1:
            ways = " or ".join(f"--weights {name}={word}" for name in having)
            raise UsageError(f"--weights {word}: say of which backbone: {ways}")
        else:
            for name in having:
                general[name].append(word)
    return {name: general[name] + named[name] for name in kinds}


def make_backbone(
    kind: type[Backbone], config: Any, stream: Stream, weights: Weights | None, computing: Computing
) -> Backbone:
    """A backbone that is ready to encode; weights None is for backbones without.

    Raises DataError where the file is no checkpoint of this network.
    """
    backbone = _loaded_backbone(kind, config, stream, weights)
    backbone.prepare(computing)
    return backbone


def _loaded_backbone(kind: type[Backbone], config: Any, stream: Stream, weights: Weights | None) -> Backbone:
    backbone = kind(config, stream)
    if weights is not None and weights.path is not None:
        from taltool.experiment.checkpoint import read_tensors

        backbone.load(read_tensors(weights.path), weights.path)
    return backbone
