"""Networks over clips of frames, the layers that they are made of, and what makes them fast.

Every network maps normalised pixels (B, C, T, H, W) to features (B, F), or to logits (B, classes) where it was made
with a classifier; its class says how space and time are averaged. It is made from plain arguments, with random weights.
Its modules are registered in the order in which they run, so that `fold_norms` can fold it, and its tensors have the
names of a public checkpoint. Where that checkpoint is found, and how it wants pixels normalised, is known to
`taltool.backbones`; what a model that trains the network along has to know too, to `.mmaction`.
"""
