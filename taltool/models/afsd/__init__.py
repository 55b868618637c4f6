"""AFSD: Lin, Xu et al., Learning Salient Boundary Feature for Anchor-free Temporal Action Localization, CVPR 2021."""
