"""Arrays in, arrays out: overlaps, suppression, fusion, metrics, diagnosis, plots. Knows no files, no video names."""
