"""Models and backbones meet data: sampling, training, checkpoints, prediction, extraction."""
