# SPDX-License-Identifier: GPL-2.0-only
"""Names that shells complete and that this machine's kernels tell: releases, loaded modules.

A file of its own, as it is asked for most, and needs the least. What cannot be read gives no values.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.fetched import built_trees, fetched_trees
from kbuildpy.kernel.find import installed_trees

_WORDS = (
    ("running", "the running kernel"),
    ("all", "every kernel tree that is installed"),
    ("fetched", "kernels of kbuildpy kernels --fetch"),
    ("built", "kernels of kbuildpy kernel build"),
)


def kernels(_: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The words of `-k`, and the releases of all kernel trees."""
    return (*releases(_), *_WORDS)


def releases(_: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The releases of the kernel trees that are installed, fetched or built."""
    found: dict[str, str] = {}
    for trees, where in ((installed_trees, "installed"), (fetched_trees, "fetched"), (built_trees, "built")):
        with suppress(KbuildError, OSError):
            for tree in trees().trees:
                found.setdefault(tree.release, where)
    return tuple(found.items())


def loaded_modules(_: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The modules that the running kernel has loaded."""
    with suppress(OSError):
        return tuple((line.split()[0], "loaded") for line in Path("/proc/modules").read_text().splitlines())
    return ()
