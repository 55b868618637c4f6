"""One metric, one file; `contract.py` says what is in it. `METRICS` knows their names without importing any."""

from taltool.registry import Registry

METRICS = Registry("metric", "taltool.ops.metrics", "taltool.metrics")
