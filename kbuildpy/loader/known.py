# SPDX-License-Identifier: GPL-2.0-only
"""The kernel versions and machines whose loader is known."""

from __future__ import annotations

from kbuildpy.kernel.release import Version
from kbuildpy.loader import since
from kbuildpy.loader.machines import NAMES, listed

KNOWN_LOADERS = f"kernels from {'.'.join(map(str, since.OLDEST))} on, for {listed(NAMES)}"
"""The known kernels, as messages describe them."""


def is_loader_known(version: Version, machine: str) -> bool:
    """Return whether the loader of a kernel is known. `machine` is `str(kernel.architecture.Architecture)`."""
    return version >= since.OLDEST and machine in NAMES
