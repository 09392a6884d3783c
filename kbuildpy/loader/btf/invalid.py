# SPDX-License-Identifier: GPL-2.0-only
"""Errors in type information, as the kernel's verifier reports them."""

from __future__ import annotations


class InvalidBtf(Exception):
    """The verifier fails with `errno` (its name) after it logged `lines`; `reason` says why.

    `of_split`: the lines are about a type of split BTF, or about a member of one. From 6.3 on, kernels that load a
    module with mismatched BTF do not log these lines (kernel/bpf/btf.c: __btf_verifier_log_type,
    btf_verifier_log_member).
    """

    def __init__(self, errno: str, lines: tuple[str, ...], reason: str, *, of_split: bool = False) -> None:
        super().__init__(reason)
        self.errno = errno
        self.lines = lines
        self.reason = reason
        self.of_split = of_split


class BeyondTypes(Exception):
    """The kernel would look up a type number that does not exist, or follow a cycle of types for ever."""


def verifier_log(errno: str, *said: str, why: str, of_split: bool = False) -> InvalidBtf:
    """Return the exception for a failure that the verifier logs with `said`, each item as one line (kernel/bpf/log.c:
    bpf_verifier_vlog). Its reason is the last line that has text, and `why`, which is the same in plain words."""
    last = next(text.strip() for text in reversed(said) if text.strip())
    return InvalidBtf(errno, tuple(f"BPF: {text}" for text in said), f"{last}: {why}", of_split=of_split)
