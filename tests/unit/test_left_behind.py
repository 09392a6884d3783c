# SPDX-License-Identifier: GPL-2.0-only
"""The module in whose memory an address is, where the parts of modules lie among each other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from kbuildpy.elf.constants import SHF_ALLOC
from kbuildpy.elf.image import ModuleImage
from kbuildpy.vm.complaints import Complaint
from kbuildpy.vm.left_behind import MemoryOwners, section_ranges, with_address

# `late` was loaded after `early`: its code into a gap below, its data above.
LINES = {
    "early": "early 16384 0 - Live 0xffffffffc0010000 (O)",
    "late": "late 16384 0 - Live 0xffffffffc0000000 (O)",
}
SECTIONS = {
    "early": [range(0xFFFFFFFFC0010000, 0xFFFFFFFFC0011000), range(0xFFFFFFFFC0012000, 0xFFFFFFFFC0012400)],
    "late": [range(0xFFFFFFFFC0000000, 0xFFFFFFFFC0001000), range(0xFFFFFFFFC0014000, 0xFFFFFFFFC0014100)],
}


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        (0xFFFFFFFFC0000010, "late"),
        (0xFFFFFFFFC0012010, "early"),
        (0xFFFFFFFFC0014010, "late"),
        (0xFFFFFFFFC00140FF, "late"),
        (0xFFFFFFFFC0014100, "early"),  # (no section: by the place of the first part below)
        (0xFFFFFFFFBFFFFFFF, ""),
        (0xFFFFFFFFC0100000, ""),
    ],
)
def test_sections_tell_the_owner_before_the_nearest_module_does(address: int, owner: str) -> None:
    assert MemoryOwners(LINES, SECTIONS).owner(address) == owner
    complaint = Complaint("oops", "page fault", (f"BUG: unable to handle page fault for address: {address:016x}",))
    assert with_address(complaint, MemoryOwners(LINES, SECTIONS)).module == owner


@pytest.mark.parametrize(
    "line",
    [
        "Unable to handle kernel paging request at virtual address bf000018",  # arm
        "pc : [<bf000018>]    lr : [<bf005010>]    psr: 60000013",
        "EIP: 0xbf000018",
        "BUG: Unable to handle kernel instruction fetch at 0x00000000bf000018",  # powerpc
        "NIP:  00000000bf000018 LR: c00000000000005c CTR: c00800000041003c",
        "Failing address: 00000000bf000000 TEID: 00000000bf000803",  # s390, by pages
    ],
)
def test_addresses_of_other_machines_tell_the_owner(line: str) -> None:
    memory = MemoryOwners({"gone": "gone 16384 0 - Live 0xbf000000 (O)"})
    assert with_address(Complaint("oops", "fault", (line,)), memory).module == "gone"


def test_memory_that_was_used_twice_is_the_later_modules() -> None:
    memory = MemoryOwners(LINES, {"early": [range(0x1000, 0x2000)], "late": [range(0x1800, 0x2800)]})
    assert [memory.owner(address) for address in (0x1000, 0x1900, 0x2100)] == ["early", "late", "late"]


def test_without_sections_the_nearest_module_below_counts() -> None:
    assert MemoryOwners(LINES).owner(0xFFFFFFFFC0014010) == "early"


def test_sections_are_where_the_guest_says_without_those_of_init() -> None:
    names = [(".text", SHF_ALLOC, 0x100), (".init.text", SHF_ALLOC, 0x20), (".data", SHF_ALLOC, 0), (".comment", 0, 9)]
    image = cast(
        "ModuleImage", SimpleNamespace(sections=[SimpleNamespace(name=n, flags=f, size=s) for n, f, s in names])
    )
    addresses = {".text": "0x1000", ".init.text": "0x2000", ".data": "0x3000", ".comment": "0x4000"}
    assert section_ranges(image, addresses) == [range(0x1000, 0x1100)]
    for hostile in ("", "1000", "0x" + "1" * 5000, "0x-1", "zero"):
        assert section_ranges(image, {".text": hostile}) == []


@pytest.mark.parametrize(
    "line",
    [
        "RIP: 0010:0xffffffffc0014010",
        "pc : 0xffffffffc0014010",
        "epc : ffffffffc0014010 ra : ffffffff8000a1b2 sp : ff2000000000bd20",
    ],
)
def test_a_processor_that_is_where_a_module_was_is_that_modules_doing(line: str) -> None:
    complaint = Complaint("oops", "execution", (line,))
    assert with_address(complaint, MemoryOwners(LINES, SECTIONS)).module == "late"
