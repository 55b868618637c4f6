"""Extraction: videos in, feature files out."""
