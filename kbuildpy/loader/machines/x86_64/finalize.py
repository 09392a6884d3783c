# SPDX-License-Identifier: GPL-2.0-only
"""Patches the code of an x86-64 module: arch/x86/kernel/module.c: module_finalize, arch/x86/kernel/alternative.c,
arch/x86/kernel/unwind_orc.c.

No stage here refuses a module. If the kernel finds unexpected code, it warns and leaves the code, or it stops (BUG).
If several sections have the same name, the kernel uses the last one, even if it has no SHF_ALLOC.
"""

from __future__ import annotations

import struct
from itertools import groupby
from typing import NamedTuple

from kbuildpy.loader import since
from kbuildpy.loader.hints import AS_BUILT, TABLES
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.code import Calls, Code
from kbuildpy.loader.memory.pointers import Pointer, entry, pointers, sites, whole_entries
from kbuildpy.loader.verdict import Undefined

ALTERNATIVE_C = "arch/x86/kernel/alternative.c"
MAX_PATCH_LEN = 254
FEATURES = (22 + 2) * 32
"""(NCAPINTS + NBUGINTS) * 32 of arch/x86/include/asm/cpufeatures.h, the same in 6.1, 6.12 and 7.3."""
_ALTERNATIVE = {False: struct.Struct("<8xHBB"), True: struct.Struct("<8xHHBB")}
"""struct alt_instr, by whether it has flags (from 6.3 on). The fields are two distances, which are skipped, the
feature, the flags, the lengths of the code and of the replacement."""
ALT_FLAG_DIRECT_CALL = 2
CALL, JMP32, CS = 0xE8, 0xE9, 0x2E
_NEAR = 1 << 12
"""The distance in bytes from a symbol of the kernel within which memory is assumed to be mapped."""
TRAMPOLINE_UD = bytes.fromhex("0fb9cc")
"""The bytes after the return in the trampoline of a static call (arch/x86/kernel/static_call.c: tramp_ud)."""
ENDBR = frozenset({bytes.fromhex("f30f1efa"), bytes.fromhex("f30f1efb"), bytes.fromhex("660f1f00")})
"""The instructions endbr64 and endbr32, and their replacement by the kernel (arch/x86/include/asm/ibt.h: is_endbr)."""
MOVES = frozenset(range(0xB8, 0xC0))
"""The opcodes that load a register with a number: before a function it is the hash of its type."""
_BEFORE_CALL = 14
"""Bytes before a call of a retpoline that compare the hash (arch/x86/kernel/alternative.c: fineibt_caller_size)."""
RETURN_THUNK = "__x86_return_thunk"
INDIRECT_THUNK = "__x86_indirect_thunk_"
RSP = INDIRECT_THUNK + "rsp"


def module_finalize(info: LoadInfo) -> None:
    """Check paravirt calls, retpolines, returns, alternatives, ENDBR and the unwinder's tables, in the kernel's order.

    Logs the kernel's warnings; raises `Undefined` where the kernel would stop, or read outside of the module. Patching
    that depends on the processor is not checked: call depth tracking (`.call_sites`), FineIBT's instructions, locks on
    one processor (`.smp_locks`), and the instructions of the replacements.
    """
    paravirt = _last(info, ".parainstructions")
    if paravirt and info.is_set("PARAVIRT") and info.kernel.version < since.PARAVIRT_IN_ALTERNATIVES:
        _apply_paravirt(info, paravirt)
    calls = Calls(info, (RETURN_THUNK,), INDIRECT_THUNK)
    code = Code(info)
    thunks = info.is_set("RETPOLINE", "MITIGATION_RETPOLINE") and info.is_set("OBJTOOL")
    retpolines = _last(info, ".retpoline_sites")
    hashes = _last(info, ".cfi_sites")
    if (hashes and info.is_set("FINEIBT")) or (retpolines and info.kernel.has("FINEIBT")):
        _apply_fineibt(info, retpolines, hashes, code)
    if retpolines and thunks:
        _apply_retpolines(info, retpolines, code, calls)
    returns = _last(info, ".return_sites")
    if returns and thunks and info.is_set("RETHUNK", "MITIGATION_RETHUNK"):
        _apply_returns(info, returns, code, calls)
    alternatives = _last(info, ".altinstructions")
    if alternatives:
        _apply_alternatives(info, alternatives, code)
    seals = _last(info, ".ibt_endbr_seal")
    if seals and info.is_set("X86_KERNEL_IBT"):
        _apply_seal_endbr(info, seals, code)
    orc, orc_ip = _last(info, ".orc_unwind"), _last(info, ".orc_unwind_ip")
    if orc and orc_ip and info.is_set("UNWINDER_ORC"):
        _unwind_module_init(info, orc_ip, orc)


def _last(info: LoadInfo, name: str) -> int:
    return next(reversed(info.numbers_of(name)), 0)


def _apply_paravirt(info: LoadInfo, number: int) -> None:
    """Check each `struct paravirt_patch_site`: the address of the code, a type, and the length of the code."""
    whole_entries(info, number, 16)
    contents = info.data(number)
    for offset, _ in sites(info, number, 16, info.machine.relocations.absolute):
        length = entry(contents, offset, 16)[9]
        if not 5 <= length <= MAX_PATCH_LEN:
            raise Undefined(
                info.stage,
                f"entry {offset // 16} of .parainstructions is about {length} bytes of code, "
                "which a call does not fit in: BUG() in apply_paravirt",
                TABLES,
            )


def _apply_fineibt(info: LoadInfo, retpolines: int, hashes: int, code: Code) -> None:
    """Look for the hash of a type before each call of a retpoline, and warn of the first entry of `.cfi_sites` that
    does not point to the hash before a function: the kernel gives all hashes other values on any processor."""
    if retpolines:
        whole_entries(info, retpolines, 4)
        for _, pointer in sites(info, retpolines, 4):
            code.at(retpolines, pointer._replace(offset=pointer.offset - _BEFORE_CALL), _BEFORE_CALL)
    if not hashes:
        return
    whole_entries(info, hashes, 4)
    for _, pointer in sites(info, hashes, 4):
        opcode, *value = code.at(hashes, pointer, 5)
        if opcode not in MOVES or not any(value):
            _check_code(info, hashes, pointer, code)
            info.warn(ALTERNATIVE_C, "__apply_fineibt", "no CFI hash found at: <symbol> <address> <bytes>")
            info.log("SMP alternatives: Something went horribly wrong trying to rewrite the CFI implementation.")
            return


def _apply_retpolines(info: LoadInfo, number: int, code: Code, calls: Calls) -> None:
    """Warn of each entry that does not point to a call, jump or conditional jump to __x86_indirect_thunk_REGISTER."""
    whole_entries(info, number, 4)
    for _, pointer in sites(info, number, 4):
        section, offset, _ = pointer
        first = code.at(number, pointer, 5)
        opcode = _opcode(first)
        target = calls.target(section, offset + opcode) if opcode else None
        if target is None or not target.startswith(INDIRECT_THUNK):
            _check_code(info, number, pointer, code)
            if opcode and first[opcode - 1] in (CALL, JMP32) and info.kernel.version >= since.PARANOID_CALLS:
                _look_before_destination(info, number, pointer, opcode, code)
            info.warn(ALTERNATIVE_C, "apply_retpolines")
        elif target == RSP:
            raise Undefined(
                info.stage,
                f"code at {offset:#x} of {info.section_name(section)} calls {RSP}, a jump by the stack pointer: BUG()",
                TABLES,
            )


def _check_code(info: LoadInfo, number: int, pointer: Pointer, code: Code) -> None:
    """Raise `Undefined` if a relocation writes to the byte at `pointer`: the instruction then depends on an address."""
    if code.is_relocated(pointer):
        where = f"{pointer.offset:#x} of {info.section_name(pointer.section)}"
        raise Undefined(
            info.stage, f"an entry of {info.section_name(number)} is about {where}, which is no code", AS_BUILT
        )


def _look_before_destination(info: LoadInfo, number: int, call: Pointer, opcode: int, code: Code) -> None:
    """Raise `Undefined` if the byte before the destination of `call` may be unmapped: the kernel reads this byte.

    `call` is an entry of table `number`, with an opcode of `opcode` bytes. The distance to the destination follows the
    opcode. It is in the code if no relocation writes it.
    """
    field = call.offset + opcode
    to = code.pointers(call.section).get(field)
    if to is None:
        distance = code.up_to(number, call, opcode + 4)[opcode:]
        to = Pointer(call.section, field + int.from_bytes(distance, "little", signed=True), -1)
    # The distance is a signed number of 32 bits, from the end of its field of four bytes.
    beyond = (to.offset + 4 + (1 << 31)) % (1 << 32) - (1 << 31)
    if to.section == 0 and info.values[to.symbol] is None and abs(beyond) < _NEAR:
        return
    size = info.sechdrs[to.section].sh_size if 0 < to.section < len(info.sechdrs) else 0
    if not 0 < beyond <= size:
        where = f"code at {call.offset:#x} of {info.section_name(call.section)}"
        raise Undefined(
            info.stage, f"{where} leads to a place whose byte before may not be there, and the kernel reads it", TABLES
        )


def _opcode(code: bytes) -> int:
    """The length in bytes of the opcode of a call, jump or conditional jump with a distance of 32 bits, and of its
    prefix; 0 for other instructions."""
    start = 1 if code[0] == CS else 0
    if code[start] in (CALL, JMP32):
        return start + 1
    return 2 if code[0] == 0x0F and 0x80 <= code[1] <= 0x8F else 0


def _apply_returns(info: LoadInfo, number: int, code: Code, calls: Calls) -> None:
    """Warn of each entry that does not point to a jump to __x86_return_thunk. The trampolines of static calls may have
    other return instructions."""
    whole_entries(info, number, 4)
    for _, pointer in sites(info, number, 4):
        section, offset, _ = pointer
        first = code.at(number, pointer, 1)
        if first == b"\xe9" and calls.target(section, offset + 1) is not None:
            continue
        if code.up_to(number, pointer, 8)[5:] == TRAMPOLINE_UD:
            continue
        if first[0] == CS and calls.target(section, offset + 2) == RETURN_THUNK:
            continue
        _check_code(info, number, pointer, code)
        target = "<dest>" if first == b"\xe9" else "0x0"
        info.warn(ALTERNATIVE_C, "apply_returns", f"missing return thunk: <site>-{target}: <bytes>")


class Alternative(NamedTuple):
    """A `struct alt_instr`: code that is replaced on processors with a feature."""

    offset: int
    """Offset of the entry in `.altinstructions`, in bytes."""
    code: Pointer
    """The code that is replaced."""
    feature: int
    """The CPU feature or bug that selects the replacement."""
    flags: int
    """The flags (ALT_FLAG_*); 0 for kernels without them."""
    instrlen: int
    """Length of the code that is replaced, in bytes."""
    replacementlen: int
    """Length of the replacement, in bytes."""

    @property
    def place(self) -> tuple[int, ...]:
        """A key that is equal for alternatives of the same code."""
        return self.code[:2] if self.code.section else self.code


def _apply_alternatives(info: LoadInfo, number: int, code: Code) -> None:
    """Check each `struct alt_instr` of section `number`: its code, its feature, and its replacement."""
    flagged = info.kernel.version >= since.ALTERNATIVE_FLAGS
    size = _ALTERNATIVE[flagged].size
    whole_entries(info, number, size)
    found = pointers(info, number)
    alternatives = _alternatives(info, number, flagged=flagged)
    room = _room(info, alternatives)
    for item in alternatives:
        instrlen, replacementlen = room[item.offset], item.replacementlen
        which = f"entry {item.offset // size} of .altinstructions"
        if instrlen > MAX_PATCH_LEN:
            raise Undefined(
                info.stage, f"{which} is about {instrlen} bytes of code: BUG_ON() in apply_alternatives", TABLES
            )
        if item.feature >= FEATURES:
            raise Undefined(
                info.stage,
                f"{which} is for feature {item.feature}, and there are {FEATURES}: BUG_ON() in apply_alternatives",
                TABLES,
            )
        before = code.at(number, item.code, instrlen)
        replacement = b""
        if replacementlen:
            field = item.offset + 4
            replacement = _replacement(info, number, field, found.get(field), replacementlen, code)
        if replacementlen > instrlen and info.kernel.version < since.PATCH_SITES:
            raise Undefined(
                info.stage,
                f"{which} replaces {instrlen} bytes by {replacementlen}, which overwrite the code behind them",
                TABLES,
            )
        calls = item.flags & ALT_FLAG_DIRECT_CALL and info.kernel.version >= since.DIRECT_CALLS
        if calls and not (
            replacementlen == 5 and replacement[0] == CALL and instrlen == 6 and before.startswith(b"\xff\x15")
        ):
            raise Undefined(info.stage, f"{which} is for a call, and there is none: BUG() in alt_replace_call", TABLES)


def _alternatives(info: LoadInfo, number: int, *, flagged: bool) -> list[Alternative]:
    layout = _ALTERNATIVE[flagged]
    contents = info.data(number)
    found = []
    for offset, pointer in sites(info, number, layout.size):
        feature, *flags, instrlen, replacementlen = layout.unpack(entry(contents, offset, layout.size))
        # In an entry without flags, the highest bit of the feature is a flag.
        feature = feature if flagged else feature & 0x7FFF
        found.append(Alternative(offset, pointer, feature, flags[0] if flags else 0, instrlen, replacementlen))
    return found


def _room(info: LoadInfo, alternatives: list[Alternative]) -> dict[int, int]:
    """The bytes that each alternative may overwrite, by its offset: `instrlen`, from 6.11 on the largest `instrlen` of
    consecutive alternatives for the same code."""
    nested = info.kernel.version >= since.NESTED_ALTERNATIVES
    room: dict[int, int] = {}
    for _, group in groupby(alternatives, key=lambda item: item.place):
        together = list(group)
        longest = max(item.instrlen for item in together)
        room.update((item.offset, longest if nested else item.instrlen) for item in together)
    return room


def _replacement(info: LoadInfo, number: int, field: int, pointer: Pointer | None, length: int, code: Code) -> bytes:
    if pointer is None:
        raise Undefined(
            info.stage,
            f"the pointer at {field:#x} of .altinstructions is not relocated, and the kernel follows it",
            AS_BUILT,
        )
    return code.at(number, pointer, length)


def _apply_seal_endbr(info: LoadInfo, number: int, code: Code) -> None:
    """Warn of each entry that does not point to an ENDBR instruction."""
    whole_entries(info, number, 4)
    for _, pointer in sites(info, number, 4):
        if code.at(number, pointer, 4) not in ENDBR:
            function = "apply_ibt_endbr" if info.kernel.version < since.ENDBR_SEALED else "poison_endbr"
            info.warn(ALTERNATIVE_C, function)


def _unwind_module_init(info: LoadInfo, orc_ip: int, orc: int) -> None:
    """Check that both tables have the same number of entries: `.orc_unwind_ip` has entries of 4 bytes (addresses),
    `.orc_unwind` of 6 bytes (struct orc_entry)."""
    ip_size, size = info.sechdrs[orc_ip].sh_size, info.sechdrs[orc].sh_size
    if ip_size % 4 or size % 6 or ip_size // 4 != size // 6:
        info.warn("arch/x86/kernel/unwind_orc.c", "unwind_module_init")
    if ip_size // 4 > size // 6:
        raise Undefined(
            info.stage,
            f".orc_unwind_ip has {ip_size // 4} entries and .orc_unwind {size // 6}: "
            "both are sorted as if they had as many",
            TABLES,
        )
