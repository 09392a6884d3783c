# SPDX-License-Identifier: GPL-2.0-only
"""Compressed modules that a kernel unpacks itself; tests/vm/referee asks kernels the same."""

from __future__ import annotations

import lzma
from typing import Any

import pytest

from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_module import load_module
from kbuildpy.loader.verdict import Verdict

UNPACKS = {"CONFIG_MODULE_DECOMPRESS": "y", "CONFIG_MODULE_COMPRESS_XZ": "y", "CONFIG_XZ_DEC_X86": "y"}
LZMA2 = {"id": lzma.FILTER_LZMA2, "preset": 1}


def verdict(config: dict[str, str] | None, *, check: int = lzma.CHECK_CRC32, **options: Any) -> Verdict:
    packed = lzma.compress(b"no module", format=lzma.FORMAT_XZ, check=check, **options)
    kernel = LoaderKernel("6.12", (6, 12), "x86_64", config=config)
    return load_module(b"no module", kernel, packed=packed[:2048])[0]


def test_what_liblzma_writes_by_default_is_refused_where_the_kernel_unpacks() -> None:
    refused = verdict(UNPACKS, check=lzma.CHECK_CRC64)
    assert (refused.errno, refused.log, refused.stage) == (
        "EINVAL",
        "decompression failed with status 6",
        "module_decompress",
    )
    assert refused.reason == "the kernel unpacks it itself, and its check is CRC64, and the kernel knows CRC32 only"
    assert refused.hint == "compress it as the kernel tree does: xz --check=crc32 --lzma2=dict=1MiB"


@pytest.mark.parametrize(
    "config",
    [
        None,
        {},
        {"CONFIG_MODULE_COMPRESS_XZ": "y"},
        {"CONFIG_MODULE_DECOMPRESS": "y", "CONFIG_MODULE_COMPRESS_ZSTD": "y"},
        {**UNPACKS, "CONFIG_MODULE_COMPRESS_GZIP": "y"},
    ],
)
def test_what_modprobe_unpacks_is_taken_as_it_is(config: dict[str, str] | None) -> None:
    assert verdict(config, check=lzma.CHECK_CRC64).stage == "elf_validity_ehdr"


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({}, False),
        ({"filters": [{"id": lzma.FILTER_X86}, LZMA2]}, False),
        ({"filters": [{"id": lzma.FILTER_ARM}, LZMA2]}, True),
        ({"filters": [{"id": lzma.FILTER_X86, "start_offset": 16}, LZMA2]}, True),
        ({"filters": [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_ARM}, LZMA2]}, True),
        ({"filters": [{"id": lzma.FILTER_DELTA}, LZMA2]}, True),
    ],
)
def test_filters_are_those_that_the_kernel_is_configured_for(options: dict[str, Any], refused: bool) -> None:
    assert (verdict(UNPACKS, **options).stage == "module_decompress") == refused


def test_a_large_dictionary_depends_on_the_machines_memory() -> None:
    large = verdict(UNPACKS, filters=[{**LZMA2, "dict_size": 128 << 20}])
    (unchecked,) = large.unchecked
    assert large.stage == "elf_validity_ehdr"
    assert unchecked.sentence.startswith("whether the kernel has memory to unpack it: its dictionary has 128 MiB")
