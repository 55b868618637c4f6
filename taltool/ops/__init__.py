"""Arrays in, arrays out: overlaps, suppression, fusion, metrics, diagnosis, plots. Knows no files and no video names."""
