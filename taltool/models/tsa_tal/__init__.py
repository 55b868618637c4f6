"""TSA-TAL: Self-Attention Refinement for Actionness Temporal Action Localization, CEUR-WS vol. 3344, 2022."""
