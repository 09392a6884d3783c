# SPDX-License-Identifier: GPL-2.0-only
"""Inline static calls of x86-64 (arch/x86/kernel/static_call.c: __static_call_validate)."""

from __future__ import annotations

NOP5 = bytes.fromhex("0f1f440000")
XOR5RAX = bytes.fromhex("2e2e2e31c0")


def is_static_call(code: bytes, is_tail_call: bool) -> bool:
    """Return whether `code` (five bytes, fewer at the end of a section) is an instruction that a static call may
    have."""
    if is_tail_call:
        return code[:1] in (b"\xe9", b"\xc3") or (code[:1] == b"\x0f" and bool(code[1:2]) and code[1] & 0xF0 == 0x80)
    return code[:1] == b"\xe8" or code in (NOP5, XOR5RAX)
