"""A module's type information: kernel/bpf/btf.c: btf_module_notify, btf_parse_hdr, btf_check_sec_info,
btf_parse_str_sec.

Types are numbered on from the kernel's own, so whether they are sound only shows together with those; what can be said
of a module alone is whether its header and its parts are.
"""

from __future__ import annotations

import struct
from functools import cmp_to_key
from typing import NamedTuple

from kbuildpy.kernel.errnos import errno_number
from kbuildpy.loader import since
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.stages.sites import has_address

MAGIC, VERSION = 0xEB9F, 1
MAX_NAME_OFFSET = 0xFFFFFF


class Header(NamedTuple):
    """struct btf_header; offsets are from its end."""

    magic: int
    version: int
    flags: int
    hdr_len: int
    type_off: int
    type_len: int
    str_off: int
    str_len: int
    layout_off: int
    layout_len: int


LAYOUT = "<HBBIIIIIII"


def btf_module_notify(info: LoadInfo) -> None:
    """Look at `.BTF`, if the module has one. Raises `Refusal` where the kernel insists on it."""
    number = info.find_any_sec(".BTF")
    if not number or not info.sechdrs[number].sh_size:
        return
    if info.kernel.config is None:
        info.not_checked("type information: the kernel's configuration is not known")
        return
    problem = None
    base = info.find_any_sec(".BTF.base")
    if info.kernel.version >= since.BTF_BASE and (base or has_address(info, 0)):
        problem = _problem(info, info.data(base), is_split=False)
    problem = problem or _problem(info, info.data(number), is_split=True)
    allowed = info.kernel.has("MODULE_ALLOW_BTF_MISMATCH")
    if problem is None:
        if allowed is not True:
            info.not_checked("whether .BTF fits the kernel's own types: those are not read")
        return
    errno, message = problem
    info.log(f"BPF: {message}")
    line = f"failed to validate module [{info.mod_name}] BTF: -{errno_number(errno)}"
    if not allowed:
        raise info.refuse(
            errno,
            line,
            f".BTF is damaged: {message}",
            hint="build the module again, or remove the section: objcopy --remove-section .BTF",
        )
    if info.kernel.version < since.BTF_MISMATCH_ONCE:
        info.log(line)
    else:
        info.log(
            "Kernel module BTF mismatch detected, BTF debug info may be unavailable for some modules",
        )


def _problem(info: LoadInfo, contents: bytes, *, is_split: bool) -> tuple[str, str] | None:
    """The errno and what the verifier says of the first thing that is wrong."""
    size = struct.calcsize(LAYOUT) if info.kernel.version >= since.BTF_LAYOUT else struct.calcsize(LAYOUT) - 8
    if len(contents) < 8:
        return "EINVAL", "hdr_len not found"
    length = int.from_bytes(contents[4:8], "little")
    if len(contents) < length:
        return "EINVAL", "btf_header not found"
    if any(contents[size:length]):
        return "E2BIG", "Unsupported btf_header"
    header = Header(*struct.unpack(LAYOUT, contents[: min(length, size)].ljust(struct.calcsize(LAYOUT), b"\0")))
    if header.magic != MAGIC:
        return "EINVAL", "Invalid magic"
    if header.version != VERSION:
        return "ENOTSUPP", "Unsupported version"
    if header.flags:
        return "ENOTSUPP", "Unsupported flags"
    if not is_split and len(contents) == length:
        return "EINVAL", "No data"
    return _section_problem(header, size, len(contents) - length) or _string_problem(
        header, size, contents, is_split=is_split
    )


def _compared(one: tuple[int, int], other: tuple[int, int]) -> int:
    """(btf_sec_info_cmp; differences are taken for signed numbers of 32 bits)"""
    offset, length = ((a - b) & 0xFFFFFFFF for a, b in zip(one, other, strict=True))
    difference = offset or length
    return difference - (1 << 32) if difference >> 31 else difference


def _section_problem(header: Header, size: int, expected: int) -> tuple[str, str] | None:
    parts = [(header.type_off, header.type_len), (header.str_off, header.str_len)]
    if header.hdr_len >= size and header.layout_len:
        parts.append((header.layout_off, header.layout_len))
    total = 0
    for offset, length in sorted(parts, key=cmp_to_key(_compared)):
        if expected < offset:
            return "EINVAL", "Invalid section offset"
        if total < offset:
            return "EINVAL", "Unsupported section found"
        if total > offset:
            return "EINVAL", "Section overlap found"
        if expected - total < length:
            return "EINVAL", "Total section length too long"
        total += length
    return ("EINVAL", "Unsupported section found") if expected != total else None


def _string_problem(header: Header, size: int, contents: bytes, *, is_split: bool) -> tuple[str, str] | None:
    start = header.hdr_len + header.str_off
    end = start + header.str_len
    has_layout = size > 24 and header.hdr_len >= size
    if not has_layout and end != len(contents):
        return "EINVAL", "String section is not at the end"
    if is_split and not header.str_len:
        return None
    if not header.str_len or header.str_len - 1 > MAX_NAME_OFFSET or contents[end - 1]:
        return "EINVAL", "Invalid string section"
    if not is_split and contents[start]:
        return "EINVAL", "Invalid string section"
    return None
