# SPDX-License-Identifier: GPL-2.0-only
"""The kernels whose loader is known here."""

from __future__ import annotations

from kbuildpy.loader import since
from kbuildpy.loader.machines import KNOWN_MACHINES, NAMES
from kbuildpy.loader.since import Version

KNOWN_LOADERS = f"kernels from {'.'.join(map(str, since.OLDEST))} on, for {KNOWN_MACHINES}"
"""The same in words."""


def is_loader_known(version: Version, machine: str) -> bool:
    """Whether the loader of a kernel of `version` for `machine` (`str(kernel.architecture.Architecture)`) is known."""
    return version >= since.OLDEST and machine in NAMES
