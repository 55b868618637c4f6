"""One paper, one folder; `contract.py` says what is in it. `MODELS` knows their names without importing torch."""

from taltool.registry import Registry

MODELS = Registry("model", "taltool.models", "taltool.models")
