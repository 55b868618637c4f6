"""What extraction, prediction and training share: settings, checkpoints, data sets, windows and batches."""
