"""AMNet: Kang et al., Action-aware Masking Network with Group-based Attention for Temporal Action Localization.

WACV 2023.
"""
