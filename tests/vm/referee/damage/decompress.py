# SPDX-License-Identifier: GPL-2.0-only
"""Compressed modules that the kernel is to unpack (kernel/module/decompress.c)."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from typing import Any

from tests.vm.referee.cases import Bases, Case

_LZMA2 = {"id": lzma.FILTER_LZMA2, "preset": 6}
_CHECKS = {"none": lzma.CHECK_NONE, "CRC32": lzma.CHECK_CRC32, "CRC64": lzma.CHECK_CRC64, "SHA-256": lzma.CHECK_SHA256}
_FILTERS = {
    "x86": lzma.FILTER_X86,
    "POWERPC": lzma.FILTER_POWERPC,
    "IA-64": lzma.FILTER_IA64,
    "ARM": lzma.FILTER_ARM,
    "ARM Thumb": lzma.FILTER_ARMTHUMB,
    "SPARC": lzma.FILTER_SPARC,
    "delta": lzma.FILTER_DELTA,
}


def cases(bases: Bases) -> Iterator[Case]:
    """All of them, for a kernel that unpacks .xz itself."""
    if not {"CONFIG_MODULE_DECOMPRESS", "CONFIG_MODULE_COMPRESS_XZ"} <= bases.tree.config.keys():
        return
    for name, check in _CHECKS.items():
        yield _packed(f"a check of {name}", bases.quiet, check=check)
    for name, number in _FILTERS.items():
        yield _packed(f"through a filter for {name}", bases.quiet, filters=[{"id": number}, _LZMA2])
    two = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_DELTA}, _LZMA2]
    yield _packed("through two filters", bases.quiet, filters=two)
    for size in (1, 8, 64):
        sized = {"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": size << 20}
        yield _packed(f"a dictionary of {size} MiB", bases.quiet, filters=[sized])
    yield _packed("what is no module", b"no module at all")


def _packed(name: str, module: bytes, *, check: int = lzma.CHECK_CRC32, **options: Any) -> Case:
    contents = lzma.compress(module, format=lzma.FORMAT_XZ, check=check, **options)
    return Case(f"decompress/{name}", contents, call="packed")
