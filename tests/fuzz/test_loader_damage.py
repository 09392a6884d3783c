# SPDX-License-Identifier: GPL-2.0-only
"""Whatever a module file consists of, the loader check answers with a verdict: in little time, and in little memory.

Modules that a distribution ships are damaged at random for as long as there is time: FUZZ_SECONDS in all, by default
20. By hand:

    FUZZ_SECONDS=600 ./run test tests/fuzz/test_loader_damage.py -s

What a failure says names the seed (FUZZ_SEED brings it back) and keeps the file.
"""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from kbuildpy.compression import decompress
from kbuildpy.elf.constants import SHF_EXECINSTR, SHT_PROGBITS
from kbuildpy.elf.headers import Shdr
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_module import load_module
from kbuildpy.signing.trailer import without_signatures
from tests.fuzz.damage import SHT_RELA, SHT_SYMTAB, damaged, header_place, sections
from tests.support.arm64 import LINES
from tests.support.kernel_trees import swept
from tests.support.shipped_kernels import NATIVE, ShippedKernel, shipped_kernel

pytestmark = pytest.mark.parity

ALL = (*NATIVE, *LINES)
SECONDS = float(os.environ.get("FUZZ_SECONDS", "10")) / len(ALL)
# (without being asked for more, every run tries the same)
SEED = os.environ.get("FUZZ_SEED") or (str(int(time.time())) if "FUZZ_SECONDS" in os.environ else "1")
MIB = 1 << 20

SMALL = 40
LARGE = (1, 10, 30, 60)
"""Which modules take part besides, counted from the largest of those that have at most 3 MiB."""
SLOWEST = 0.25, 1.0
"""Seconds of the processor that a check may take: for any file, and more for each MiB."""
LARGEST = 4 * MIB, 4.0
"""Bytes that it may need besides the file's: for any file, and more for each byte."""


Claim = Callable[[bytearray], None]


def headers(module: bytearray) -> list[tuple[int, Shdr]]:
    """Where each section header is, and what it says."""
    return [(header_place(module, number), section) for number, section in enumerate(sections(module))]


def all_symbols(module: bytearray) -> None:
    """The symbol table is the whole file."""
    [place] = (place for place, section in headers(module) if section.sh_type == SHT_SYMTAB)
    struct.pack_into("<QQ", module, place + 24, 0, len(module))


def all_relocations(module: bytearray) -> None:
    """Every section of relocations is the whole file."""
    for place, section in headers(module):
        if section.sh_type == SHT_RELA:
            struct.pack_into("<QQ", module, place + 24, 0, len(module))


def all_section_headers(module: bytearray) -> None:
    """As many section headers as can be counted, all of them sound: those that were there, and then empty ones."""
    old = bytes(module[header_place(module, 0) : header_place(module, len(sections(module)))])
    struct.pack_into("<Q", module, 40, len(module))
    struct.pack_into("<H", module, 60, 0xFFFF)
    module += old
    for number in range(0xFFFF - len(old) // 64):
        module += struct.pack("<IIQQQQIIQQ", number % 9, 1, 2, 0, 300 + number, 0, 0, 0, 1 << 20, 0)


def one_name(module: bytearray) -> None:
    """The names of the symbols and of the sections have but one end."""
    for _, section in headers(module):
        if section.sh_type == 3:
            module[section.sh_offset + 1 : section.sh_offset + section.sh_size - 1] = b"a" * (section.sh_size - 2)


def no_jumps(module: bytearray) -> None:
    """No site of a return or a retpoline has the jump or call that the tables of sites say."""
    for _, section in headers(module):
        if section.sh_type == SHT_PROGBITS and section.sh_flags & SHF_EXECINSTR:
            part = slice(section.sh_offset, section.sh_offset + section.sh_size)
            module[part] = module[part].replace(b"\xe9", b"\x90").replace(b"\xe8", b"\x90")


@pytest.mark.parametrize("line", ALL)
def test_every_damaged_module_gets_a_verdict(line: str, tmp_path: Path) -> None:
    kernel = shipped_kernel(line)
    modules = whole_modules(kernel)
    for module in modules:
        assert load_module(module, kernel.by_tree)[0].accepted
    counted: Counter[str] = Counter()
    stop = time.monotonic() + SECONDS
    while time.monotonic() < stop:
        chance = Random(f"{SEED} {line} {counted.total()}")
        contents, names = damaged(chance.choice(modules), chance)
        what = f"FUZZ_SEED={SEED}, {line}, number {counted.total()}, {names}: {tmp_path}/damaged.ko"
        try:
            counted[one(contents, kernel.by_tree, traced=chance.random() < 0.25)] += 1
        except BaseException as error:
            (tmp_path / "damaged.ko").write_bytes(contents)
            raise AssertionError(what) from error
    print(f"\nFUZZ_SEED={SEED}, {line}: {counted.total()} modules: {dict(counted.most_common())}")
    # Damage that nobody notices, and damage of each depth: else most of the loader was never asked.
    assert counted.total() < 300 or len(counted) >= 10


@pytest.mark.parametrize("line", ["7.3", *swept("6.1", "6.12-arm64")])
@pytest.mark.parametrize("claim", [all_symbols, all_relocations, all_section_headers, one_name, no_jumps])
def test_tables_that_claim_the_whole_file_keep_the_limits(line: str, claim: Claim) -> None:
    kernel = shipped_kernel(line)
    module = bytearray(max(whole_modules(kernel), key=len))
    claim(module)
    for traced in (False, True):
        one(bytes(module), kernel.by_tree, traced=traced)


def whole_modules(kernel: ShippedKernel) -> list[bytes]:
    """Modules of all sizes, most of them without their signature: with it, most damage ends at the first stage."""
    large = sorted(
        (file for file in kernel.modules if file.stat().st_size < 3 * MIB), key=lambda file: file.stat().st_size
    )
    files = [*kernel.sample(SMALL), *(large[-number] for number in LARGE)]
    modules = [decompress(file.read_bytes()) for file in files]
    return [*(without_signatures(module) for module in modules), *modules[:4]]


def one(contents: bytes, kernel: LoaderKernel, *, traced: bool) -> str:
    """The errno or stage of the verdict, which must keep the limits; memory is measured only if `traced` (which slows
    everything, so that then the time is not)."""
    if traced:
        load_module(contents, kernel)  # (what is kept of the kernel, such as its types, is no cost of the file)
        tracemalloc.start()
    began = time.process_time()
    try:
        verdict, _ = load_module(contents, kernel)
        seconds = time.process_time() - began
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = len(contents)
    assert peak <= LARGEST[0] + LARGEST[1] * size, f"{peak} bytes for a file of {size}: {verdict.stage}"
    assert traced or seconds <= SLOWEST[0] + SLOWEST[1] * size / MIB, f"{seconds} s for a file of {size} bytes"
    assert verdict.accepted or (verdict.stage and verdict.reason)
    return "accepted" if verdict.accepted else f"{verdict.errno} {verdict.stage}"
