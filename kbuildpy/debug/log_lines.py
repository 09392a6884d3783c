# SPDX-License-Identifier: GPL-2.0-only
"""What stands in one line of a kernel's log: `function+0x12/0x40 [module]`, with or without a build id.

Written by lib/vsprintf.c (%pS, %pB, %pSb) through kernel/kallsyms.c: __sprint_symbol. In front of it there may be
anything: time stamps, what journalctl and syslog add, colours, the word that says what the address is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

# What dmesg, journalctl and terminals colour with (ECMA-48: SGR).
COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_MENTION = re.compile(
    r"(?<![\w.$])(?P<symbol>[A-Za-z_$.][\w.$]*)\+0x(?P<offset>[0-9a-f]{1,16})/0x(?P<size>[0-9a-f]{1,16})"
    r"(?![\w/])(?: \[(?P<module>[\w.-]+)(?: (?P<build_id>[0-9a-f]{8,64}))?\])?"
)
# The words before an address where the processor is, or was when it was interrupted; all other addresses are where a
# call returns to. arch/x86/kernel/dumpstack.c, arch/arm64/kernel/process.c, arch/arm/kernel/process.c,
# arch/riscv/kernel/process.c, arch/powerpc/kernel/process.c, arch/s390/kernel/dumpstack.c, arch/mips/kernel/traps.c;
# kernel/panic.c: __warn; mm/kfence/report.c for what it finds by a page fault.
_EXACT = re.compile(
    r"(?:\b(?:[RE]?IP|pc|PC|epc|EPC|era|ERA|NIP|TPC|Krnl PSW)\b(?: is at)?[ :]*(?:[0-9a-f]{4}:)?"
    # (each a whole run of digits: a line of a module's must not be tried in all ways)
    r"(?:[ (]*\[?<?[0-9a-fx]{8,18}(?![0-9a-fx])>?\]?)*[ (]*"
    r"|\bWARNING: (?:.* )?at (?:\S+ )?"
    r"|\bBUG: KFENCE: (?:out-of-bounds|use-after-free|invalid) (?:read|write) in )$"
)
_SPACES = re.compile(r"\s+")
_NO_CALL = ("?", " hint:")
"""What is before a function that was perhaps not called."""
_NEAR = 150
"""Lines of a trace that may follow the line that says where the processor was."""


@dataclass(frozen=True)
class Mention:
    """One `function+offset/size` of a log."""

    number: int
    """The line, from 0 on."""
    column: int
    """Where it begins in the line, colours not counted."""
    symbol: str
    offset: int
    size: int
    module: str
    """"" for the kernel itself."""
    build_id: str
    """Of the module, in hexadecimal; "" where the log does not tell."""
    returns: bool
    """The address is where a call returns to, so the call is before it."""
    certain: bool
    """False for an entry of a trace that the kernel marks with `?`: it found the address on the stack; and for a
    function that is only named, as that of a timer which is freed (lib/debugobjects.c: debug_print_object)."""

    @property
    def place(self) -> tuple[str, str, int, int]:
        """What the kernel calls the address."""
        return self.module, self.symbol, self.offset, self.size


def plain(line: str) -> str:
    """`line` without its colours."""
    return COLOUR.sub("", line) if "\x1b" in line else line


def read_mentions(lines: Sequence[str]) -> list[Mention]:
    """All that `lines` mention, in order.

    An exception's own frame comes once more in the trace, as any other: it is told by the address.
    """
    found: list[Mention] = []
    exact: dict[tuple[str, str, int, int], int] = {}
    for number, line in enumerate(lines):
        if "+0x" not in line:
            continue
        text, before = plain(line), 0
        for match in _MENTION.finditer(text):
            leading = text[before : match.start()]
            before = match.end()
            mention = _mention(number, match, leading, text[match.end() : match.end() + 4])
            if not mention.returns:
                exact[mention.place] = number
            elif number - exact.get(mention.place, -_NEAR) < _NEAR:
                mention = replace(mention, returns=False)
            found.append(mention)
    return found


def _mention(number: int, match: re.Match[str], leading: str, following: str) -> Mention:
    offset = int(match["offset"], 16)
    return Mention(
        number=number,
        column=match.start(),
        symbol=match["symbol"],
        offset=offset,
        size=int(match["size"], 16),
        module=(match["module"] or "").replace("-", "_"),
        build_id=match["build_id"] or "",
        # (" (P)": arch/arm64/kernel/stacktrace.c, of the frame that was interrupted)
        returns=offset > 0 and not following.startswith(" (P)") and _EXACT.search(_SPACES.sub(" ", leading)) is None,
        certain=not leading.rstrip().endswith(_NO_CALL),
    )
