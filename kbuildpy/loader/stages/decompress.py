# SPDX-License-Identifier: GPL-2.0-only
"""Checks a module that the kernel decompresses itself: kernel/module/decompress.c, lib/xz/xz_dec_stream.c.

modprobe of kmod 31 and later passes a compressed file to the kernel if the kernel can decompress its format
(CONFIG_MODULE_DECOMPRESS). The surprise: the kernel's xz decoder refuses files that liblzma writes by default.
"""

from __future__ import annotations

from kbuildpy.compression import compression_of
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.load_info import LoadInfo

_KINDS = {"gzip": "MODULE_COMPRESS_GZIP", "xz": "MODULE_COMPRESS_XZ", "zstd": "MODULE_COMPRESS_ZSTD"}
"""The compression formats and their options. A kernel decompresses one format: the first whose option is set."""

_CRC32 = 1
_CHECKS = {4: "CRC64", 10: "SHA-256"}
_OPTIONS_ERROR = 6
"""XZ_OPTIONS_ERROR of include/linux/xz.h"""
_LZMA2 = 0x21
_FILTERS = dict(enumerate(("X86", "POWERPC", "IA64", "ARM", "ARMTHUMB", "SPARC", "ARM64", "RISCV"), 4))
"""The filters for machine code by their number in the file, as in the names of their options (CONFIG_XZ_DEC_X86)."""
_MUCH = 64 << 20
"""Bytes of memory that every machine is assumed to have."""
_HINT = "compress it as the kernel tree does: xz --check=crc32 --lzma2=dict=1MiB"


def module_decompress(info: LoadInfo) -> None:
    """Check the header of the compressed file in `info.packed`. Raises `Refusal` if the kernel's decoder refuses it."""
    if info.kernel.has("MODULE_DECOMPRESS") and compression_of(info.packed) == _kind(info.kernel) == "xz":
        _check_xz(info)


def _kind(kernel: LoaderKernel) -> str:
    return next((name for name, symbol in _KINDS.items() if kernel.has(symbol)), "")


def _check_xz(info: LoadInfo) -> None:
    """Check the headers of the stream and of the first block (dec_stream_header, dec_block_header). The other blocks
    are taken to have the same filters."""
    check = info.packed[7] & 0xF
    if check > _CRC32:
        raise _refuse(info, f"its check is {_CHECKS.get(check, check)}, and the kernel knows CRC32 only")
    flags, at = info.packed[13], 14
    for present in (flags & 0x40, flags & 0x80):  # The optional sizes: numbers with seven bits in each byte.
        while present and info.packed[at] & 0x80:
            at += 1
        at += bool(present)
    filters = (flags & 3) + 1
    if filters > 1:
        code = info.packed[at]
        known = filters == 2 and code in _FILTERS and info.kernel.has(f"XZ_DEC_{_FILTERS[code]}")
        if not known or info.packed[at + 1]:
            raise _refuse(info, f"it goes through a filter ({code:#x}) that the kernel does not know")
        at += 2
    if info.packed[at] != _LZMA2:
        raise _refuse(info, f"it goes through a filter ({info.packed[at]:#x}) that the kernel does not know")
    size = (2 + (info.packed[at + 2] & 1)) << (info.packed[at + 2] // 2 + 11)
    if info.packed[at + 2] > 39:
        raise _refuse(info, "its dictionary is larger than 3 GiB")
    if size > _MUCH:
        info.not_checked(
            "whether the kernel has memory to unpack it", reason=f"its dictionary has {size >> 20} MiB ({_HINT})"
        )


def _refuse(info: LoadInfo, reason: str) -> Exception:
    line = f"decompression failed with status {_OPTIONS_ERROR}"
    return info.refuse("EINVAL", line, f"the kernel unpacks it itself, and {reason}", _HINT)
