"""Training: features and ground truth in, a checkpoint out."""
