"""The ground floor: records, the clock of features, provenance, and one file per format. Needs numpy, no torch."""
