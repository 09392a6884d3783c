"""What modules leave behind: things that are listed when they are gone, and addresses in memory that they had."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from kbuildpy.vm.complaints import Complaint

_NAMED = 8
"""Things that are named in the words of a complaint; all are in its log."""
_BETWEEN = 1 << 16
"""The parts of a module's memory lie one after the other from 6.4 on, with gaps: not more than this altogether."""
# What the processor was to read, to write or to execute (x86; arm64)
_ADDRESS = re.compile(r"(?:\baddress:? |^RIP: 0010:0x|^pc : (?:0x)?)([0-9a-f]{16})\b")


def untold(things: Iterable[str], told: Iterable[Complaint]) -> list[str]:
    """Those of `things` that the kernel itself has not complained about in `told`."""
    words = " ".join(complaint.words for complaint in told if complaint.kind == "leak")
    return [thing for thing in things if not re.search(rf"\b{re.escape(re.split('[/ ]', thing)[-1])}\b", words)]


def leak(things: Sequence[str]) -> Complaint:
    """The complaint about `things` that a module left behind."""
    more = f" and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    words = f"something was left behind: {', '.join(things[:_NAMED])}{more}"
    return Complaint("leak", words, tuple(things) if more else ())


def with_address(complaint: Complaint, lines: Mapping[str, str]) -> Complaint:
    """`complaint`, and the module in whose memory the address lies that the kernel could not use, where there is one.

    `lines` are the modules' of /proc/modules, by name, from when they were loaded: a trace names none that is gone, of
    which a timer or a thread still ran, or something is registered.
    """
    addresses = [int(found[1], 16) for line in complaint.log if (found := _ADDRESS.search(line))]
    for address in addresses:
        below = [place for place in _places(lines) if place[0] <= address]
        if below:
            start, size, name = max(below)
            if address < start + size + _BETWEEN:
                return replace(complaint, words=f"{complaint.words} (in memory that was {name}'s)", module=name)
    return complaint


def _places(lines: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """Address, size and name of each module."""
    # name, size, references, those who hold them, state, address
    fields = ((name, line.split()) for name, line in lines.items())
    # (a guest may report anything)
    return [(int(words[5], 16), int(words[1]), name) for name, words in fields if _LINE.fullmatch(" ".join(words[:6]))]


_LINE = re.compile(r"\S+ [0-9]{1,12} \S+ \S+ \S+ 0x[0-9a-f]{1,16}")
