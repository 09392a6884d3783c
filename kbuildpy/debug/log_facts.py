# SPDX-License-Identifier: GPL-2.0-only
"""What a log tells of the kernel that wrote it: its release, and its build id where it prints one.

Sources: init/version.c: linux_banner; lib/dump_stack.c: dump_stack_print_info (the line with `CPU:` of each trace);
kernel/locking/lockdep.c: print_kernel_ident.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from kbuildpy.debug.log_lines import plain
from kbuildpy.kernel.release import is_release

_RELEASE = re.compile(
    r"\bLinux version (?P<banner>\S+) \("
    r"|\b(?:Not tainted|Tainted: [A-Z ]*?) +(?P<trace>\d\S+) #\S+(?:\s.*?\b(?P<build_id>[0-9a-f]{40})\b)?"
    r"|(?:^|[\]:]\s)(?P<lockdep>\d\.\S+) #\S+ (?:Not tainted|Tainted)"
)


class LoggedKernel(NamedTuple):
    """A kernel that wrote lines of a log."""

    release: str
    build_id: str = ""


class LogFacts(NamedTuple):
    """The kernels of a log: one after the other, if it has several boots."""

    lines: Sequence[int]
    """The numbers of the lines that name a kernel."""
    kernels: Sequence[LoggedKernel]

    def kernel_at(self, number: int) -> LoggedKernel:
        """The kernel that wrote line `number`: the last one named before it, else the first of all. Its release is ""
        in a log that names none."""
        if not self.kernels:
            return LoggedKernel("")
        return self.kernels[max(bisect_right(self.lines, number) - 1, 0)]


def read_facts(lines: Sequence[str]) -> LogFacts:
    """What `lines` tell. A word that cannot be a release counts for nothing: paths are made of it."""
    numbers: list[int] = []
    kernels: list[LoggedKernel] = []
    for number, line in enumerate(lines):
        if "ainted" not in line and "Linux version" not in line:
            continue
        match = _RELEASE.search(plain(line))
        release = (match["banner"] or match["trace"] or match["lockdep"]) if match else ""
        if match and release and is_release(release):
            build_id = match["build_id"] or ""
            known = next((kernel.build_id for kernel in reversed(kernels) if kernel.release == release), "")
            numbers.append(number)
            kernels.append(LoggedKernel(release, build_id or known))
    return LogFacts(numbers, kernels)
