"""How one of the backbones of an extraction computes: its settings, streams and weights, to and from a record."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone, Stream, complete_backbone
from taltool.data.downloads import digest
from taltool.errors import UsageError
from taltool.experiment.configuration import Layer, merged
from taltool.extraction.weights import AUTO, RANDOM, Weights, resolve_weights
from taltool.reporting import SILENT, Reporter

# The section of the settings of a backbone that is alone.
SECTION = "backbone"
# The key of the record under which the checksum of a backbone's file is.
BACKBONE_FILE = "backbone_file"
_CONFIG, _STREAMS, _WEIGHTS = "config", "streams", "weights"
FACTS = (_CONFIG, _STREAMS, _WEIGHTS, BACKBONE_FILE)
_COLOURS: tuple[Stream, ...] = ("rgb",)


@dataclass(frozen=True)
class BackboneSettings:
    """One of the backbones of an extraction.

    weights are those of each stream's network; empty for a backbone without. name is the registered one, asked_for the
    word that it was asked for by, which may be the file that registers it; file is the checksum of that.
    """

    name: str
    config: Any
    streams: tuple[Stream, ...] = _COLOURS
    weights: tuple[Weights, ...] = ()
    asked_for: str = field(default="", compare=False)
    file: str | None = None

    @classmethod
    def from_facts(
        cls,
        facts: Mapping[str, Any],
        asked_for: str,
        where: str,
        weights: Sequence[str] = (),
        reporter: Reporter = SILENT,
    ) -> "BackboneSettings":
        """The settings that `facts` told of; the other arguments are those of `ExtractionSettings.from_record`."""
        name = BACKBONES.canonical(asked_for)
        kind = complete_backbone(BACKBONES.load(name), name)
        config = merged({SECTION: kind.Config}, [Layer(where, {SECTION: facts[_CONFIG]})])[SECTION]
        streams = tuple(facts.get(_STREAMS, _COLOURS))
        identities = dict(zip(streams, facts.get(_WEIGHTS, ()), strict=False))
        words = weights or _obtainable(kind, identities, where)
        found = resolve_weights(kind, streams, words, reporter, config, name)
        for stream, each in found.items():
            if each.identity != identities[stream]:
                raise UsageError(
                    f"{where}: its features were made with weights {identities[stream]} ({stream}), these are "
                    f"{each.identity}; name the right file: --weights FILE"
                )
        file = checksum(asked_for)
        if file != facts.get(BACKBONE_FILE):
            raise UsageError(f"{where}: the file of the backbone has changed since its features were made")
        return cls(name, config, streams, tuple(found.values()), asked_for, file)

    def facts(self) -> dict[str, Any]:
        """All of it but the name, ready for JSON; what was not told in files of earlier versions still is not."""
        facts: dict[str, Any] = {_CONFIG: asdict(self.config)}
        if self.weights or self.streams != _COLOURS:
            facts[_STREAMS] = self.streams
        if self.weights:
            facts[_WEIGHTS] = [each.identity for each in self.weights]
        if self.file:
            facts[BACKBONE_FILE] = self.file
        return facts

    def load(self) -> type[Backbone]:
        """The class; raises UsageError where its file is another one than when these settings were made."""
        kind: type[Backbone] = BACKBONES.load(self.name)
        if self.file != checksum(self.asked_for):
            raise UsageError(f"{self.asked_for} was changed while features were extracted with it")
        return kind

    def networks(self) -> list[tuple[Stream, Weights | None]]:
        """Each stream with the weights of its network."""
        return list(zip(self.streams, self.weights or [None] * len(self.streams), strict=True))


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


def asked_by_name(words: str) -> dict[str, str]:
    """The registered names of the backbones in `words`, which has commas between them, each with its own word."""
    by_name: dict[str, str] = {}
    for word in (each.strip() for each in words.split(",")):
        name = BACKBONES.canonical(word)
        if name in by_name:
            raise UsageError(f"--backbone {words}: {name} is there twice")
        by_name[name] = word
    return by_name


def checksum(asked_for: str) -> str | None:
    """The checksum of a backbone that was asked for by its file; None for others."""
    return _checksum_once(Path(asked_for).resolve()) if asked_for.endswith(".py") else None


@cache
def _checksum_once(path: Path) -> str:
    """As a process imports a file once, it is what was in it then that counts."""
    try:
        return digest(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
