# SPDX-License-Identifier: GPL-2.0-only
"""The program `kbuildpy`, also as `python -m kbuildpy`: runs `kbuildpy.cli.main` as a process of its own."""

import gc
import sys

from kbuildpy.leave import leave


def run() -> int:
    """Run the command of `sys.argv` in this process, which ends with the status that is returned.

    Python's cyclic collector examines all objects repeatedly while a process grows, and again at its end. A build keeps
    most of its objects until it ends: fewer collections, and none at the end, take a sixth off a build with nothing to
    do.
    """
    gc.set_threshold(20_000, 50, 50)
    if sys.argv[1:2] == ["build"]:
        return _build()
    try:
        return _run_command()
    finally:
        gc.freeze()


def _build() -> int:
    from kbuildpy.kbuild.repeated_call import begin_early, end_early

    try:
        # (a compiler need not wait for the imports of the command line)
        begin_early(sys.argv[2:])
        return _run_command()
    finally:
        end_early()
        gc.freeze()


def _run_command() -> int:
    from kbuildpy.cli import main

    return leave(main())


if __name__ == "__main__":
    sys.exit(run())
