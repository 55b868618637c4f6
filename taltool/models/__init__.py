"""One paper, one folder. `MODELS` knows their names without importing torch."""

from taltool.registry import Registry

MODELS = Registry("model", "taltool.models", "taltool.models")
