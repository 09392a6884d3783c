# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree: what `KDIR` names, as a value.

A tree has an object part (configuration, generated headers, `Module.symvers`, helper programs: what
`/lib/modules/RELEASE/build` points at) and a source part (makefiles, headers). In a tree that was built
in place both are the same directory; a distribution's headers package splits them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kbuildpy.kernel.config import read_auto_conf
from kbuildpy.kernel.release import Version, version_of

_NUMBERS = re.compile(rb"^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class KernelTree:
    """One kernel tree; `objects` and `source` are absolute, physical paths, `release` is its release."""

    objects: Path
    source: Path
    release: str

    @property
    def symvers(self) -> Path:
        """The tree's `Module.symvers` (it may be missing)."""
        return self.objects / "Module.symvers"

    @cached_property
    def version(self) -> tuple[int, int]:
        """Major and minor version, e.g. (6, 12): for tables, where the tree itself cannot be asked."""
        major, minor, *_ = version_of(self.release)
        return major, minor

    @cached_property
    def stable_version(self) -> Version:
        """The version with the number of the stable release, (6, 12, 46): for changes that were backported. The source
        part's Makefile has it; a release may not (Debian's 6.1.0-56 is 6.1.192)."""
        try:
            found = dict(_NUMBERS.findall((self.source / "Makefile").read_bytes()[:4096]))
            stable = tuple(int(found[name]) for name in (b"VERSION", b"PATCHLEVEL", b"SUBLEVEL"))
        except (OSError, KeyError):
            return version_of(self.release)
        return stable if stable[:2] == self.version else version_of(self.release)

    @cached_property
    def config(self) -> dict[str, str]:
        """`include/config/auto.conf`: `CONFIG_X` to `y`, `m`, a number or a string (without quotes)."""
        return read_auto_conf(self.objects / "include/config/auto.conf")
