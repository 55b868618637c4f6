"""Non-maximum suppression, labelling and fusion: streams of proposals in and out; never imports torch."""
