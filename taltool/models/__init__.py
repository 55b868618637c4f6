"""One paper, one file. `MODELS` knows their names without importing torch."""

from taltool.registry import Registry

MODELS = Registry("model", "taltool.models", "taltool.models", shared=("contract",))
