"""taltool: temporal action localization in composable commands."""

__version__ = "0.1.0"
