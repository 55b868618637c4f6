"""AFSD's presets, and its settings for data that nobody tuned it for."""

from taltool.data.facts import DataFacts
from taltool.models.contract import Settings

PRESETS: dict[str, Settings] = {}


def fitted(facts: DataFacts) -> Settings:
    """Settings for `facts`, as differences from the defaults."""
    return {}
