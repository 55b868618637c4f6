"""Prediction: features in, proposals out."""
