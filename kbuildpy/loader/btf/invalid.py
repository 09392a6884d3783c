# SPDX-License-Identifier: GPL-2.0-only
"""Errors in type information, as the kernel's verifier reports them."""

from __future__ import annotations


class InvalidBtf(Exception):
    """The verifier ends with `errno` (its name) after logging `lines`; `reason` is the last thing it said in words.

    `of_split`: the lines are about a type that goes on from others, or a member of one: from 6.3 on kernels that take
    modules whose types do not fit leave them out (kernel/bpf/btf.c: __btf_verifier_log_type, btf_verifier_log_member).
    """

    def __init__(self, errno: str, lines: tuple[str, ...], reason: str, *, of_split: bool = False) -> None:
        super().__init__(reason)
        self.errno = errno
        self.lines = lines
        self.reason = reason
        self.of_split = of_split


class BeyondTypes(Exception):
    """The kernel would follow a number that no type has, or never stop following them."""


def verifier_log(errno: str, *said: str, of_split: bool = False) -> InvalidBtf:
    """The exception where the verifier logs `said`, a line each (kernel/bpf/log.c: bpf_verifier_vlog)."""
    reason = next((text.strip() for text in reversed(said) if text.strip()), "")
    return InvalidBtf(errno, tuple(f"BPF: {text}" for text in said), reason, of_split=of_split)
