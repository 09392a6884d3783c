# SPDX-License-Identifier: GPL-2.0-only
"""`python -m kbuildpy` is `kbuildpy`."""

import sys

from kbuildpy.cli import main

if __name__ == "__main__":
    sys.exit(main())
