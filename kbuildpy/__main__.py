# SPDX-License-Identifier: GPL-2.0-only
"""The program `kbuildpy`, also as `python -m kbuildpy`: runs `kbuildpy.cli.main` as a process of its own."""

import gc
import sys

from kbuildpy.cli import main
from kbuildpy.leave import leave


def run() -> int:
    """Run the command of `sys.argv` in this process, which ends with the status that is returned.

    Python's cyclic collector examines all objects repeatedly while a process grows, and again at its end. A build keeps
    most of its objects until it ends: fewer collections, and none at the end, take a sixth off a build with nothing to
    do.
    """
    gc.set_threshold(20_000, 50, 50)
    try:
        return leave(main())
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(run())
