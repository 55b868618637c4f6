"""`python -m taltool` is `taltool`."""

import sys

from taltool.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
