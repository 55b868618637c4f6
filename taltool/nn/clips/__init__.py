"""Networks over clips of frames, which backbones and models share."""
