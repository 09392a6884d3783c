# SPDX-License-Identifier: GPL-2.0-only
"""Adds certificates to the keyrings of a running kernel (add_keys.c)."""

from __future__ import annotations

from pathlib import Path

from kbuildpy.run import run
from kbuildpy.vm import cpio


def with_keys(certificates: list[bytes], place: Path) -> bytes:
    """The part of an initramfs with add_keys and what it adds."""
    program = place / "add_keys"
    run(["gcc", "-static", "-Wall", "-Werror", "-o", program, Path(__file__).with_name("add_keys.c")])
    entries = [cpio.file(f"certificates/{number}", der) for number, der in enumerate(certificates)]
    return cpio.archive([cpio.file("add_keys", program.read_bytes(), executable=True), *entries])
