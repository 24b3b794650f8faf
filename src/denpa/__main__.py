"""`python -m denpa`: the command line, where the script `denpa` is not on the path."""

from __future__ import annotations

import sys

from denpa.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
