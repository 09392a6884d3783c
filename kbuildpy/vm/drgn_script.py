# SPDX-License-Identifier: GPL-2.0-only
"""A script for drgn, which reads a guest's memory through QEMU's machine protocol (`drgn --qemu`, drgn 0.3 or later).

drgn finds the kernel's page tables by a note that the kernel hands to QEMU's device `vmcoreinfo` with the driver
qemu_fw_cfg. It finds modules by itself only with the kernel's debug information, which few machines have; so the script
tells it their names, files and the addresses of their sections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.files import replacing
from kbuildpy.vm.debugger import known_sections, symbol_file
from kbuildpy.vm.trial import Trial

DEVICE = "vmcoreinfo"
"""QEMU's device that keeps the kernel's note."""
DRIVER = "qemu_fw_cfg"
"""The kernel's module that hands the note over."""

_BEGINNING = """\
# drgn --qemu SOCKET FILE: the modules of a guest of `kbuildpy run --gdb`.
for name, file, sections in (
"""
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

    run_interactive(prog)
"""


def write_drgn_script(
    script: Path,
    trials: Sequence[Trial],
    sections: Mapping[int, Mapping[str, str]],
    scratch: Path,
    *,
    coming: int | None = None,
) -> None:
    """Write the script for `trials` into the file `script`, whole or not at all: `sections` are the addresses of their
    sections, by their numbers; copies of modules that drgn cannot read as they are go into `scratch`. `coming` is the
    number of a module whose init function has not run. Raises `KbuildError`."""
    modules = []
    for number, trial in enumerate(trials):
        known = known_sections(trial.image, sections.get(number, {}), is_live=number != coming)
        if known:
            sizes = {section.name: section.size for section in trial.image.sections}
            rows = "".join(f"        {name!r}: ({at:#x}, {sizes[name]}),\n" for name, at in known.items())
            file = str(symbol_file(trial, scratch))
            modules.append(f"    ({trial.name!r}, {file!r}, {{\n{rows}    }}),\n")
    try:
        with replacing(script) as replacement:
            replacement.write("".join([_BEGINNING, *modules, _END]).encode(errors="surrogateescape"))
    except OSError as error:
        raise KbuildError(f"--drgn-script {script}: {error.strerror}", hint="name a file that you can write") from error
