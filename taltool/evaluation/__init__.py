"""Evaluation and diagnosis: ground truth and proposals in, numbers and figures out; never imports torch."""
