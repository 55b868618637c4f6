"""Frames: decoding with true timestamps, and the windows that snippets are cut from."""
