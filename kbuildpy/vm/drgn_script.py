# SPDX-License-Identifier: GPL-2.0-only
"""A script for drgn, which reads a guest's memory through QEMU's machine protocol (`drgn --qemu`, drgn 0.3 or later).

drgn finds the kernel's page tables by a note that the kernel hands to QEMU's device `vmcoreinfo` with the driver
qemu_fw_cfg. It finds modules by itself only with the kernel's debug information, which few machines have; so the script
tells it their names, files and the addresses of their sections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kbuildpy.debug.gdb_commands import known_sections
from kbuildpy.vm.debugger import symbol_file
from kbuildpy.vm.trial import Trial

DEVICE = "vmcoreinfo"
"""QEMU's device that keeps the kernel's note."""
DRIVER = "qemu_fw_cfg"
"""The kernel's module that hands the note over."""

_END = """\
):
    ranges = [(start, start + size) for start, size in sections.values() if size]
    module = prog.relocatable_module(name, min(ranges)[0], create=True)
    module.address_ranges = ranges
    for section, (start, size) in sections.items():
        module.section_addresses[section] = start
    module.try_file(file)

if __name__ == "__main__":
    from drgn.cli import run_interactive

    run_interactive(prog)"""


def drgn_script(
    trials: Sequence[Trial],
    sections: Mapping[int, Mapping[str, str]],
    scratch: Path,
    *,
    coming: int | None = None,
) -> list[str]:
    """The lines of the script for `trials`: `sections` are the addresses of their sections, by their numbers; copies of
    modules that drgn cannot read as they are go into `scratch`. `coming` is the number of a module whose init function
    has not run."""
    lines = [
        "# drgn --qemu SOCKET FILE: the modules of a guest of `kbuildpy run --gdb`.",
        "for name, file, sections in (",
    ]
    for number, trial in enumerate(trials):
        known = known_sections(trial.image, sections.get(number, {}), is_live=number != coming)
        if known:
            sizes = {section.name: section.size for section in trial.image.sections}
            lines.append(f"    ({trial.name!r}, {str(symbol_file(trial, scratch))!r}, {{")
            lines += [f"        {name!r}: ({address:#x}, {sizes[name]})," for name, address in known.items()]
            lines.append("    }),")
    return [*lines, *_END.splitlines()]
