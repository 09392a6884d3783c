# SPDX-License-Identifier: GPL-2.0-only
"""Checks the calls that ftrace patches: kernel/trace/ftrace.c: ftrace_module_init.

The compiler lists the address of such a call in each function. The kernel compares the code there before it overwrites
it. If the code differs, the kernel logs an "ftrace bug" and disables ftrace until the next boot, but loads the module.
"""

from __future__ import annotations

from kbuildpy.kernel.release import has_change
from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.machines.machine import TraceSites, machine_of
from kbuildpy.loader.memory.pointers import pointers
from kbuildpy.loader.verdict import Undefined


def ftrace_module_init(info: LoadInfo) -> None:
    """Check each listed address, and log the kernel's lines about the first one with unexpected code.

    Raises `Undefined` if the kernel would read or write outside of a section.
    """
    if not info.is_set("DYNAMIC_FTRACE") or not info.is_set("FUNCTION_TRACER"):
        return
    places = machine_of(info).trace_sites(info)
    number = info.find_sec(places.section) if places else 0
    if places and number:
        _process_locs(info, number, places)


def _process_locs(info: LoadInfo, number: int, places: TraceSites) -> None:
    """Check the addresses in section `number`, without zeros, up to the first wrong one (ftrace_process_locs)."""
    kinds = info.machine.relocations
    found = pointers(info, number, kinds.absolute)
    # A relocation of another type does not store an absolute address.
    others = pointers(info, number, kinds.applied - kinds.absolute)
    size = info.sechdrs[number].sh_size // 8 * 8
    contents = info.data(number)
    # A section without contents in the file (SHT_NOBITS) is zero, except for relocated entries.
    offsets = range(0, size, 8) if contents else sorted(at for at in {*found, *others} if at % 8 == 0 and at < size)
    # Such kernels look for zeros after they have added to them.
    skips_zeros = not places.adjusts or has_change(info.kernel.version, since.ZERO_SITES)
    for offset in offsets:
        pointer = found.get(offset)
        if pointer is None:
            is_zero = not any(contents[offset : offset + 8]) and offset not in others
            if is_zero and skips_zeros:
                continue
            if not places.warning and not is_zero:
                raise Undefined(
                    info.stage,
                    f"the pointer at {offset:#x} of {info.section_name(number)} is not relocated, and the kernel "
                    f"patches "
                    "the code there",
                    AS_BUILT,
                )
            _bug(info, "ftrace faulted on modifying ", places)
            return
        if pointer.symbol == 0:
            if not pointer.offset and skips_zeros:
                continue
            # The symbol is the null symbol: the addend alone is an address outside of the module.
            _bug(info, "ftrace faulted on modifying ", places)
            return
        if 0 < pointer.section < len(info.sechdrs):
            room = info.sechdrs[pointer.section].sh_size
            if not 0 <= pointer.offset < max(room, 1):
                raise Undefined(
                    info.stage,
                    f"the pointer at {offset:#x} of {info.section_name(number)} leads out of its section, and the "
                    f"kernel "
                    "patches the code there",
                    AS_BUILT,
                )
        if not places.is_expected(pointer):
            _bug(info, "ftrace failed to modify ", places)
            return


def _bug(info: LoadInfo, message: str, places: TraceSites) -> None:
    """Log what the kernel logs for an address that it cannot patch (kernel/trace/ftrace.c: ftrace_bug)."""
    if places.warning:
        info.warn(*places.warning)
    info.log("------------[ ftrace bug ]------------")
    info.log(message)
    info.log("[<<ip>>] 0x<ip>")
    if places.warning and "modify " in message:
        info.log(" actual:   <bytes>")
        info.log(" expected: <bytes>")
    info.log("Initializing ftrace call sites")
    info.warn("kernel/trace/ftrace.c", "ftrace_bug")
