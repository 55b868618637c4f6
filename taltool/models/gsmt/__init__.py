"""GSMT, the Global Segmentation Mask Transformer.

Published as TAGS: Nag et al., Proposal-Free Temporal Action Detection via Global Segmentation Mask Learning, ECCV 2022.
"""
