# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with the tables of a kernel with FineIBT (module_finalize: apply_fineibt); other kernels' modules have
none."""

from __future__ import annotations

from collections.abc import Iterator

from tests.vm.referee.cases import Bases, Case
from tests.vm.referee.damage.ways import case, relocation
from tests.vm.referee.draft import Draft

HASHES = ".cfi_sites"
PREAMBLE = 16
"""Bytes from the hash of a function's type to the function."""


def cases(bases: Bases) -> Iterator[Case]:
    """All of them."""
    if not bases.rich_has(HASHES):
        return
    rows = Draft(bases.still).relocations(HASHES)
    for number in (0, len(rows) - 1):
        addend = rows[number][3]
        for what, distance in (("the second byte of its hash", 1), ("the end of its hash", 5), ("itself", PREAMBLE)):
            damage = relocation(HASHES, number, addend=addend + distance)
            yield case(f"finalize/entry {number} of {HASHES} leads to {what}", bases.still, damage)
