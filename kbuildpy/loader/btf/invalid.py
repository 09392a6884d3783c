"""What the kernel's verifier of type information objects to."""

from __future__ import annotations


class InvalidBtf(Exception):
    """The verifier ends with `errno` (its name) after logging `lines`; `reason` is the last thing it said in words."""

    def __init__(self, errno: str, lines: tuple[str, ...], reason: str) -> None:
        super().__init__(reason)
        self.errno = errno
        self.lines = lines
        self.reason = reason


class BeyondTypes(Exception):
    """The kernel would follow a number that no type has, or never stop following them."""


def verifier_log(errno: str, *said: str) -> InvalidBtf:
    """What to raise where the verifier says `said`, a line each (kernel/bpf/log.c: bpf_verifier_vlog)."""
    reason = next((text.strip() for text in reversed(said) if text.strip()), "")
    return InvalidBtf(errno, tuple(f"BPF: {text}" for text in said), reason)
