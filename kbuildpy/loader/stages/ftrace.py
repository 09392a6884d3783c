"""Where functions can be traced: kernel/trace/ftrace.c: ftrace_module_init, arch/*/kernel/ftrace.c: ftrace_init_nop.

The compiler lists where each function begins. The kernel looks whether there is what it will overwrite; if not, it logs
a "ftrace bug" and traces nothing any more until it is started again, but loads the module.
"""

from __future__ import annotations

from collections.abc import Callable

from kbuildpy.elf.constants import SHT_NOBITS
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.relocate_arm64 import TYPES
from kbuildpy.loader.stages.relocate_x86 import WIDTHS
from kbuildpy.loader.stages.sites import ABSOLUTE, Calls, Pointer, is_set, pointers, warn
from kbuildpy.loader.verdict import Undefined

FENTRY = "__fentry__"
NOP5 = bytes.fromhex("0f1f440000")
ARM64_NOP = bytes.fromhex("1f2003d5")
ARM64_BTI = frozenset(bytes([hint, 0x24, 0x03, 0xD5]) for hint in (0x1F, 0x5F, 0x9F, 0xDF))
"""bti, bti c, bti j, bti jc."""

OTHER = (frozenset(TYPES) | frozenset(WIDTHS)) - ABSOLUTE

Found = Callable[[Pointer], bool]


def ftrace_module_init(info: LoadInfo) -> None:
    """Look at each place as the kernel does; logs what it says of the first one that is wrong."""
    if not is_set(info, "DYNAMIC_FTRACE") or not is_set(info, "FUNCTION_TRACER"):
        return
    if info.kernel.machine == "arm64":
        if not is_set(info, "DYNAMIC_FTRACE_WITH_REGS", "DYNAMIC_FTRACE_WITH_ARGS"):
            return
        number = info.find_sec("__patchable_function_entries")
        is_expected, function = _arm64(info), ""
    else:
        # Objtool has put nops there already.
        if info.kernel.has("FTRACE_MCOUNT_USE_OBJTOOL"):
            return
        number = info.find_sec("__mcount_loc")
        is_expected, function = _x86(info), "ftrace_verify_code"
    if number:
        _process_locs(info, number, is_expected, function)


def _process_locs(info: LoadInfo, number: int, is_expected: Found, function: str) -> None:
    """Entries are addresses; zeros are skipped. A wrong one ends it for all (ftrace_process_locs)."""
    found = pointers(info, number, ABSOLUTE)
    # Other types of relocation make something that is not an address.
    others = pointers(info, number, OTHER)
    size = info.sechdrs[number].sh_size // 8 * 8
    contents = info.data(number)
    # Where the file has nothing there are zeros, but for what is relocated.
    offsets = range(0, size, 8) if contents else sorted(at for at in {*found, *others} if at % 8 == 0 and at < size)
    for offset in offsets:
        pointer = found.get(offset)
        if pointer is None:
            if not any(contents[offset : offset + 8]) and offset not in others:
                continue
            if not function:
                raise Undefined(
                    info.stage, f"the pointer at {offset:#x} of {info.section_name(number)} is not relocated"
                )
            _bug(info, "ftrace faulted on modifying ", function)
            return
        if pointer.symbol == 0:
            if not pointer.offset:
                continue
            # an address far from everything
            _bug(info, "ftrace faulted on modifying ", function)
            return
        if 0 < pointer.section < len(info.sechdrs):
            room = info.sechdrs[pointer.section].sh_size
            if not 0 <= pointer.offset < max(room, 1):
                raise Undefined(
                    info.stage, f"the pointer at {offset:#x} of {info.section_name(number)} leads out of its section"
                )
        if not is_expected(pointer):
            _bug(info, "ftrace failed to modify ", function)
            return


def _bug(info: LoadInfo, what: str, function: str) -> None:
    """(ftrace_bug)"""
    if function:
        warn(info, "arch/x86/kernel/ftrace.c", function)
    info.log("------------[ ftrace bug ]------------")
    info.log(what)
    info.log("[<<ip>>] 0x<ip>")
    if function and "modify " in what:
        info.log(" actual:   <bytes>")
        info.log(" expected: <bytes>")
    info.log("Initializing ftrace call sites")
    warn(info, "kernel/trace/ftrace.c", "ftrace_bug")


def _x86(info: LoadInfo) -> Found:
    """A call of __fentry__, which is overwritten: there is none for a second entry. Where the configuration is not
    known, nops will do."""
    calls = Calls(info, (FENTRY,))
    text = _Text(info)
    is_first = _first_time()
    allowed = (b"\xe8",) if info.kernel.config is not None else (b"\xe8", NOP5[:1])

    def is_expected(pointer: Pointer) -> bool:
        first = text.at(pointer, 1)
        if first == b"\xe8":
            return is_first(pointer) and calls.target(pointer.section, pointer.offset + 1) is not None
        return first in allowed and text.at(pointer, 5) == NOP5

    return is_expected


def _arm64(info: LoadInfo) -> Found:
    """A nop where a function begins, behind `bti` if there is one; with call operations two nops come before. It is
    overwritten: there is none for a second entry."""
    call_ops = info.kernel.has("DYNAMIC_FTRACE_WITH_CALL_OPS") is True
    bti = info.kernel.has("ARM64_BTI_KERNEL") is True
    text = _Text(info)
    is_first = _first_time()

    def is_expected(pointer: Pointer) -> bool:
        if call_ops:
            pointer = pointer._replace(offset=pointer.offset + 8)
            if bti and text.at(pointer, 4) in ARM64_BTI:
                pointer = pointer._replace(offset=pointer.offset + 4)
        return is_first(pointer) and text.at(pointer, 4) == ARM64_NOP

    return is_expected


def _first_time() -> Found:
    """Whether a place was not asked about before."""
    seen: set[tuple[int, int]] = set()

    def is_first(pointer: Pointer) -> bool:
        known = len(seen)
        seen.add((pointer.section, pointer.offset))
        return len(seen) > known

    return is_first


class _Text:
    """Bytes in any section of the module; none elsewhere."""

    def __init__(self, info: LoadInfo) -> None:
        self._info = info
        self._contents: dict[int, bytes] = {}

    def at(self, pointer: Pointer, length: int) -> bytes:
        """`length` bytes there, fewer at the end of the section."""
        contents = self._contents.get(pointer.section)
        if contents is None:
            contents = b""
            if 0 < pointer.section < len(self._info.sechdrs):
                section = self._info.sechdrs[pointer.section]
                contents = b"" if section.sh_type == SHT_NOBITS else self._info.data(pointer.section)
            self._contents[pointer.section] = contents
        return contents[pointer.offset : pointer.offset + length] if pointer.offset >= 0 else b""
