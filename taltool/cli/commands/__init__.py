"""The commands: NAME.py holds the function NAME, which the command line runs."""
