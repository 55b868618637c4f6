"""Inspection: what is in a file, and whether it is whole, be it data, a checkpoint or a video; never imports torch."""
