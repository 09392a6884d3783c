# SPDX-License-Identifier: GPL-2.0-only
"""Leftovers of modules: objects that are still listed after their removal, and uses of their memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from kbuildpy.elf.constants import SHF_ALLOC
from kbuildpy.elf.image import ModuleImage
from kbuildpy.vm.complaints import Complaint

_NAMED = 8
"""Things that are named in the words of a complaint; all are in its log."""
_NO_SECTIONS: Mapping[str, Iterable[range]] = {}
_BETWEEN = 1 << 16
"""The parts of a module's memory lie one after the other from 6.4 on, with gaps: not more than this altogether."""
# What the processor was to read, to write or to execute (x86; arm64; riscv64; powerpc, s390 and machines of 32 bits)
_ADDRESS = re.compile(
    r"(?:\baddress:? (?:0x)?|^RIP: 0010:0x|^EIP: 0x|^e?pc : (?:0x|\[<)?|^BUG: .* at 0x|^NIP: +)"
    r"([0-9a-f]{16}|[0-9a-f]{8})\b"
)

# Who asked for memory; a place in a trace that has no name: `[<0000000012345678>] 0xffffffffc0000015`, later without
# what is in brackets
_PROCESS = re.compile(r'^\s*comm ".*", pid (\d{1,10}),')
_NAMELESS = re.compile(r"^\s*(?:\[<[0-9a-f]+>\] )?0x([0-9a-f]{16})$")


def untold(things: Iterable[str], told: Iterable[Complaint]) -> list[str]:
    """The `things` that no complaint of the kernel in `told` mentions."""
    words = " ".join(complaint.words for complaint in told if complaint.kind == "leak")
    return [thing for thing in things if not re.search(rf"\b{re.escape(re.split('[/ ]', thing)[-1])}\b", words)]


def leak(things: Sequence[str]) -> Complaint:
    """The complaint about `things` that a module left behind."""
    more = f" and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    words = f"the module left something behind: {', '.join(things[:_NAMED])}{more}"
    return Complaint("leak", words, tuple(things) if more else ())


class MemoryOwners:
    """Where modules are in memory, or were until they were removed."""

    def __init__(self, lines: Mapping[str, str], sections: Mapping[str, Iterable[range]] = _NO_SECTIONS) -> None:
        """`lines` are those of /proc/modules by module, from when each was loaded; `sections` the addresses of its
        sections, as far as they are known. From 6.4 on the parts of a module lie anywhere among those of others, and a
        line has the place of the first part alone."""
        self._parts = _places(lines)
        self._sections = [(part, name) for name, parts in sections.items() for part in parts]

    def owner(self, address: int) -> str:
        """The module in whose memory `address` is; "" for none."""
        exact = [name for part, name in self._sections if address in part]
        if exact:
            return exact[-1]  # (loaded last: in what an earlier one has left)
        below = [place for place in self._parts if place[0] <= address]
        start, size, name = max(below, default=(0, 0, ""))
        return name if address < start + size + _BETWEEN else ""


def section_ranges(image: ModuleImage, addresses: Mapping[str, str]) -> list[range]:
    """The memory of the sections of `image` at `addresses` (/sys/module/NAME/sections, which a guest reports: it may
    be anything), without those that are freed after init: there, the next module may be."""
    starts = {name: int(value, 16) for name, value in addresses.items() if _SECTION_ADDRESS.fullmatch(value)}
    kept = (item for item in image.sections if item.flags & SHF_ALLOC and not item.name.startswith(".init"))
    found = ((starts.get(section.name, 0), section.size) for section in kept)
    return [range(start, start + size) for start, size in found if start and size]


def leaked_memory(leaks: Sequence[str], callers: Mapping[int, str], memory: MemoryOwners) -> dict[str, tuple[str, ...]]:
    """What kmemleak lists, by the module that asked for it; "" for what shows none.

    `callers` are the processes that loaded and removed the modules, whose names they have: where init functions were,
    the next module may be by now. Of what another process has lost, an address in its trace tells, which by the time of
    the list has no name any more: `memory` is where the modules were. What the kernel itself has lost while it started
    is left out (mm/kmemleak.c: print_unreferenced).
    """
    found: dict[str, tuple[str, ...]] = {}
    starts = [number for number, line in enumerate(leaks) if line.startswith("unreferenced object")]
    for start, stop in pairwise([*starts, len(leaks)]):
        listed = leaks[start:stop]
        pids = [int(process[1]) for line in listed if (process := _PROCESS.match(line))]
        addresses = [int(address[1], 16) for line in listed if (address := _NAMELESS.search(line))]
        owners = [callers[pid] for pid in pids if pid in callers]
        owners += [owner for owner in map(memory.owner, addresses) if owner]
        if owners or not any(line.lstrip().startswith('comm "swapper') for line in listed):
            owner = owners[0] if owners else ""
            found[owner] = (*found.get(owner, ()), *listed)
    return found


def with_address(complaint: Complaint, memory: MemoryOwners) -> Complaint:
    """`complaint`, and the module in whose memory the address lies that the kernel could not use, where there is one.

    `memory` is where the modules were: a trace names none that is gone, of which a timer or a thread still ran, or
    something is registered.
    """
    addresses = [int(found[1], 16) for line in complaint.log if (found := _ADDRESS.search(line))]
    for address in addresses:
        if name := memory.owner(address):
            return replace(complaint, words=f"{complaint.words} (in memory that was {name}'s)", module=name)
    return complaint


def _places(lines: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """Address, size and name of each module."""
    # name, size, references, those who hold them, state, address
    fields = ((name, line.split()) for name, line in lines.items())
    # (a guest may report anything)
    return [(int(words[5], 16), int(words[1]), name) for name, words in fields if _LINE.fullmatch(" ".join(words[:6]))]


_SECTION_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}")
_LINE = re.compile(r"\S+ [0-9]{1,12} \S+ \S+ \S+ 0x[0-9a-f]{1,16}")
