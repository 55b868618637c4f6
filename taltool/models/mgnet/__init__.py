"""MGNet: Yang et al., Mask-guided Network, Applied Intelligence 2022."""
