# SPDX-License-Identifier: GPL-2.0-only
"""Leftovers of modules: objects that are still listed after their removal, and uses of their memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from kbuildpy.vm.complaints import Complaint

_NAMED = 8
"""Things that are named in the words of a complaint; all are in its log."""
_BETWEEN = 1 << 16
"""The parts of a module's memory lie one after the other from 6.4 on, with gaps: not more than this altogether."""
# What the processor was to read, to write or to execute (x86; arm64)
_ADDRESS = re.compile(r"(?:\baddress:? |^RIP: 0010:0x|^pc : (?:0x)?)([0-9a-f]{16})\b")

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


def leaked_memory(
    leaks: Sequence[str], callers: Mapping[int, str], lines: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """What kmemleak lists, by the module that asked for it; "" for what shows none.

    `callers` are the processes that loaded and removed the modules, whose names they have: where init functions were,
    the next module may be by now. Of what another process has lost, an address in its trace tells, which by the time of
    the list has no name any more: `lines` are the modules' of /proc/modules, from when they were loaded. What the
    kernel itself has lost while it started is left out (mm/kmemleak.c: print_unreferenced).
    """
    found: dict[str, tuple[str, ...]] = {}
    places = _places(lines)
    starts = [number for number, line in enumerate(leaks) if line.startswith("unreferenced object")]
    for start, stop in pairwise([*starts, len(leaks)]):
        listed = leaks[start:stop]
        pids = [int(process[1]) for line in listed if (process := _PROCESS.match(line))]
        addresses = [int(address[1], 16) for line in listed if (address := _NAMELESS.search(line))]
        owners = [callers[pid] for pid in pids if pid in callers]
        owners += [owner for owner in (_owner(address, places) for address in addresses) if owner]
        if owners or not any(line.lstrip().startswith('comm "swapper') for line in listed):
            owner = owners[0] if owners else ""
            found[owner] = (*found.get(owner, ()), *listed)
    return found


def _owner(address: int, places: Sequence[tuple[int, int, str]]) -> str:
    """The module in whose memory `address` is, "" for none."""
    below = [place for place in places if place[0] <= address]
    start, size, name = max(below, default=(0, 0, ""))
    return name if address < start + size + _BETWEEN else ""


def with_address(complaint: Complaint, lines: Mapping[str, str]) -> Complaint:
    """`complaint`, and the module in whose memory the address lies that the kernel could not use, where there is one.

    `lines` are the modules' of /proc/modules, by name, from when they were loaded: a trace names none that is gone, of
    which a timer or a thread still ran, or something is registered.
    """
    addresses = [int(found[1], 16) for line in complaint.log if (found := _ADDRESS.search(line))]
    for address in addresses:
        if name := _owner(address, _places(lines)):
            return replace(complaint, words=f"{complaint.words} (in memory that was {name}'s)", module=name)
    return complaint


def _places(lines: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """Address, size and name of each module."""
    # name, size, references, those who hold them, state, address
    fields = ((name, line.split()) for name, line in lines.items())
    # (a guest may report anything)
    return [(int(words[5], 16), int(words[1]), name) for name, words in fields if _LINE.fullmatch(" ".join(words[:6]))]


_LINE = re.compile(r"\S+ [0-9]{1,12} \S+ \S+ \S+ 0x[0-9a-f]{1,16}")
