"""One file layout, one file. `FORMATS` knows their names without importing any; a layout registers itself.

`contract` says what a format is, `sniffing` tells them apart by content, `tables` holds what several of them share.
"""

from taltool.registry import Registry

FORMATS = Registry("format", "taltool.data.formats", "taltool.formats")
