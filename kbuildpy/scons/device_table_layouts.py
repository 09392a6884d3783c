# SPDX-License-Identifier: GPL-2.0-only
"""The layouts of device-table structures, from the tree's compiler, once per tree.

Kbuild compiles scripts/mod/devicetable-offsets.c while it builds the kernel; here the same flags as for a
`.mod.c` compile a probe. The answer is kept in the user's cache beside the tree's other answers.
"""

from __future__ import annotations

from typing import Any

from kbuildpy.kbuild.cached import cached
from kbuildpy.kbuild.probe import compile_probe
from kbuildpy.kbuild.stamps import Stamp, digest, stamps
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.modpost.layout_probe import parse, probe_source
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.scons.project import KernelProject


def device_table_layouts(project: KernelProject) -> DeviceTableLayouts:
    """Sizes and member offsets as the tree's headers and compiler have them.

    Raises `CommandError` with the compiler's message when the probe does not compile.
    """
    answer = project.answer
    source = probe_source(answer.tree)

    def ask() -> tuple[Any, dict[str, Stamp]]:
        probe = compile_probe(answer, source, environ=project.environ)
        return parse(probe.assembly).to_json(), stamps([answer.tree.source / "include/linux/mod_devicetable.h"])

    path = cache_directory() / "layouts" / f"{digest(answer.identity, source)}.json"
    return cached(path, ask, read=DeviceTableLayouts.from_json)
