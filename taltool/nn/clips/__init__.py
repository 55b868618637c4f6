"""Networks over clips of frames, which backbones and models share, and what makes them fast.

Every network maps normalised pixels (B, C, T, H, W) to features (B, F), or to logits (B, classes) where it was made
with a classifier; its class says where space and time are averaged. It is made from plain arguments, with random
weights. Its modules are registered in the order in which they run, so that `fold_norms` may fold it, and its tensors
have the names of a public checkpoint. How that normalises pixels and where it lies, `taltool.backbones` knows.
"""
