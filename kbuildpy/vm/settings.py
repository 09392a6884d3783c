# SPDX-License-Identifier: GPL-2.0-only
"""How modules are tried, for `session`. Imports nothing: `env.RunModule()` makes it in a build with nothing to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbuildpy.vm.programs import GuestTest
    from kbuildpy.vm.watcher import Watcher


@dataclass(frozen=True)
class Settings:
    """How modules are tried."""

    limit: int = 20
    """Seconds that an init or exit function may take."""
    memory: int = 512
    """The guest's, in MiB."""
    append: tuple[str, ...] = ()
    """What goes on the kernel's command line."""
    dyndbg: bool = False
    """Dynamic debug messages are switched on."""
    keep: bool = False
    """There is a shell on the terminal once all modules are loaded."""
    gdb: int = 0
    """The port where a debugger is waited for then; 0: none."""
    gdb_at_init: bool = False
    """The guest is stopped for the debugger before the first init function of a given module, not after all."""
    gdb_script: Path | None = None
    """The file that gets the commands for gdb; without one they are shown."""
    drgn_script: Path | None = None
    """The file that gets a script for drgn, where a debugger is waited for."""
    verbose: bool = False
    """Show also what the kernel says while it starts."""
    tests: tuple[GuestTest, ...] = ()
    """What runs when all modules are loaded."""
    files: tuple[Path, ...] = ()
    """What lies beside the tests."""
    test_limit: int = 60
    """Seconds that a test may take."""
    linger: int = 0
    """Seconds that the guest goes on after the tests."""
    devices: tuple[str, ...] = ()
    """QEMU's, as its -device has them."""
    modules: tuple[str, ...] = ()
    """The kernel's own modules that are loaded first, each a name and maybe parameters."""
    watcher: Watcher | None = None
    """A module that watches the others."""
