"""One snippet encoder, one file; the networks themselves are in taltool.nn.clips.

`BACKBONES` knows their names without importing any.
"""

from taltool.registry import Registry

BACKBONES = Registry("backbone", "taltool.backbones", "taltool.backbones")
