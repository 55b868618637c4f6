"""One snippet encoder, one file. `BACKBONES` knows their names without importing any."""

from taltool.registry import Registry

BACKBONES = Registry("backbone", "taltool.backbones", "taltool.backbones")
