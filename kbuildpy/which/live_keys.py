# SPDX-License-Identifier: GPL-2.0-only
"""The keys that the running kernel has, as /proc/keys and keyctl(2) tell them to who may see them.

Counterpart: security/keys/proc.c, crypto/asymmetric_keys/asymmetric_type.c (asymmetric_key_describe), x509_public_key.c
(x509_key_preparse: a key is called by its subject and, in hexadecimal, the identifier of its key or its serial number).
Certificates themselves cannot be read back: a key is recognised by its identifier.
"""

from __future__ import annotations

import ctypes
import platform
import re
from dataclasses import dataclass
from typing import NamedTuple

from kbuildpy.kernel.rooted import Rooted

BUILT_IN, SECONDARY, MACHINE, PLATFORM = (
    ".builtin_trusted_keys",
    ".secondary_trusted_keys",
    ".machine",
    ".platform",
)
RINGS = (BUILT_IN, SECONDARY, MACHINE, PLATFORM)

_LINE = re.compile(r"([0-9a-f]{8}) (\S{7}) +\d+ +\S+ [0-9a-f]{8} +-?\d+ +-?\d+ (.{9}) (.*)")
_COUNT = re.compile(r"(.*): (?:(\d+)|empty)\Z")
_ASYMMETRIC = re.compile(r"(.*): ([0-9a-f]+): ([^:]*)\Z")
_LIMIT = 1 << 24
_READ = 11
_KEYCTL = {
    "x86_64": 250,
    "aarch64": 219,
    "riscv64": 219,
    "loongarch64": 219,
    "i686": 288,
    "armv7l": 311,
    "ppc64le": 271,
    "s390x": 280,
}
_MOST_KEYS = 1 << 16


class LiveKey(NamedTuple):
    """A key that the kernel verifies signatures with."""

    subject: str
    identifier: str
    """In hexadecimal: of its key, else its serial number."""


@dataclass(frozen=True)
class LiveKeys:
    """What the kernel tells."""

    counts: dict[str, int]
    """How many keys and rings are in a ring; rings that are not there, or not shown, are missing."""
    keys: tuple[LiveKey, ...]
    """All keys for signatures that are shown, whichever ring they are in."""
    members: dict[str, tuple[LiveKey, ...]]
    """The keys that are in a ring itself; only of rings that may be read."""
    blacklist: frozenset[str] = frozenset()
    """Words `tbs:HEX` and `bin:HEX`."""
    problem: str = ""
    """Why they could not be read."""


def read_live_keys(system: Rooted) -> LiveKeys:
    """The keys of the kernel that runs in `system`."""
    try:
        text = system.read("/proc/keys", limit=_LIMIT).decode("utf-8", "surrogateescape")
    except OSError as error:
        return LiveKeys({}, (), {}, problem=f"/proc/keys is not readable: {error.strerror}")
    rings: dict[str, int] = {}
    counts: dict[str, int] = {}
    keys: dict[int, LiveKey] = {}
    blacklist: set[str] = set()
    for line in text.splitlines():
        matched = _LINE.match(line)
        if matched is None or {"R", "D", "N", "i"} & set(matched[2]):
            continue
        serial, kind, described = int(matched[1], 16), matched[3].strip(), matched[4]
        if kind == "keyring" and (ring := _COUNT.match(described)) and ring[1] in (*RINGS, ".blacklist"):
            rings[ring[1]], counts[ring[1]] = serial, int(ring[2] or 0)
        elif kind == "asymmetri" and (key := _ASYMMETRIC.match(described)):
            keys[serial] = LiveKey(key[1], key[2])
        elif kind == "blacklist":
            blacklist.add(described.strip())
    if BUILT_IN not in rings:
        return LiveKeys({}, (), {}, problem="the kernel's rings are not shown in /proc/keys: needs root")
    members = {}
    for ring_name, serial in rings.items():
        found = _members(serial) if system.is_running else None
        if found is not None:
            members[ring_name] = tuple(keys[each] for each in found if each in keys)
    return LiveKeys(counts, tuple(keys.values()), members, frozenset(blacklist))


def _members(serial: int) -> list[int] | None:
    """The numbers of what is in a ring; None where they may not be read."""
    number = _KEYCTL.get(platform.machine())
    if number is None:
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    buffer = (ctypes.c_uint32 * _MOST_KEYS)()
    size = libc.syscall(
        ctypes.c_long(number),
        ctypes.c_long(_READ),
        ctypes.c_long(ctypes.c_int32(serial).value),
        ctypes.byref(buffer),
        ctypes.c_long(ctypes.sizeof(buffer)),
        ctypes.c_long(0),
    )
    return None if size < 0 else list(buffer[: min(size // 4, _MOST_KEYS)])
