"""The layouts of device-table structures, from the tree's compiler, once per tree.

Kbuild compiles scripts/mod/devicetable-offsets.c while it builds the kernel; here the same flags as for a
`.mod.c` compile a probe. The answer is kept in the user's cache beside the tree's other answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbuildpy.kbuild.probe import compile_probe
from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kernel.cache import cache_directory, read_json, write_json

if TYPE_CHECKING:
    from kbuildpy.modpost import DeviceTableLayouts
    from kbuildpy.scons.session import Project


def device_table_layouts(project: Project) -> DeviceTableLayouts:
    """Sizes and member offsets as the tree's headers and compiler have them.

    Raises `CommandError` with the compiler's message when the probe does not compile.
    """
    from kbuildpy.modpost.layouts import DeviceTableLayouts, parse, probe_source

    answer = project.answer
    source = probe_source(answer.tree)
    header = answer.tree.source / "include/linux/mod_devicetable.h"
    cached = cache_directory() / "layouts" / f"{digest(answer.identity, source, stamp(header))}.json"
    known = read_json(cached)
    if isinstance(known, dict):
        return DeviceTableLayouts.from_json(known)
    layouts = parse(compile_probe(answer, source, environ=project.environ).assembly)
    write_json(cached, layouts.to_json())
    return layouts
