"""`python -m taltool` is `taltool`."""

from taltool.cli.main import main

if __name__ == "__main__":
    main()
