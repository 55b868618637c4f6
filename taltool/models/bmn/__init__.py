"""BMN: Lin et al., Boundary-Matching Network for Temporal Action Proposal Generation, ICCV 2019."""
