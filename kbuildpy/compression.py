# SPDX-License-Identifier: GPL-2.0-only
"""Decompression of modules and kernel images; the first bytes tell the format.

xz, lzma, gzip and bzip2 are the standard library's; zstd is where Python has it (3.14), else the program's, as lz4
always is.

A file may have something behind its compressed stream, or several streams. Kernel images have a length there. In a
module it is refused: the kernel's own decoders stop at the end of the first stream (kernel/module/decompress.c), kmod
and the usual programs read on, so each would see another module.

A few bytes can unpack to more than there is memory. So nothing is unpacked beyond a limit, which is the same for all
formats, nor with more memory for the unpacking itself than kmod or a usual compressor's options take.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.run import run

_LIMIT, _ALWAYS, _RATIO = 1 << 30, 1 << 26, 64
_MEMORY = (1 << 27) + (1 << 24)
"""Bytes for the unpacking itself: a dictionary of 128 MiB, which is the most that the kernel's makefiles ask xz for
(scripts/xz_wrap.sh), and what liblzma needs besides. In zstd a window of 128 MiB, as kmod has it
(ZSTD_WINDOWLOG_LIMIT_DEFAULT)."""


def limit_for(size: int) -> int:
    """Bytes that contents of `size` bytes may unpack to: of kernels and modules nothing shrinks to a sixty-fourth."""
    return min(max(_ALWAYS, _RATIO * size), _LIMIT)


def compression_of(contents: bytes) -> str:
    """What `contents` are compressed with: a key of what can be decompressed, "" for nothing that is known."""
    if not contents.startswith(_BEGINNINGS):
        return ""
    return next(name for name, magic in _MAGIC.items() if contents.startswith(magic))


def decompress(contents: bytes) -> bytes:
    """`contents` decompressed; themselves if they are not compressed.

    Raises `KbuildError` for a damaged stream, for one that something follows, for one that unpacks to more than
    `limit_for` its size, and when the program for it is missing.
    """
    plain, rest = _decompress(contents, whole=True)
    if rest:
        raise KbuildError(
            f"{rest} bytes follow the end of the {compression_of(contents)} contents",
            hint="a kernel that decompresses modules ignores them, kmod does not: decompress the file, look at what "
            "comes out, and compress it again",
        )
    return plain


def decompress_first(contents: bytes) -> bytes:
    """The same for the first compressed stream of `contents`; what follows it is ignored."""
    return _decompress(contents, whole=False)[0]


def inflate(contents: bytes) -> bytes:
    """`contents` in zlib's format, as sections of debug information have it, decompressed. Raises `KbuildError` for a
    damaged stream, and for one that decompresses to more than `limit_for` its size."""
    return _by_library("zlib", zlib.decompressobj, contents)[0]


def _decompress(contents: bytes, *, whole: bool) -> tuple[bytes, int]:
    """`contents` decompressed, and how many bytes follow the stream. A program decompresses them all; without `whole`,
    only the first stream is given to it."""
    name = compression_of(contents)
    if not name:
        return contents, 0
    if name == "lz4":
        return _by_program(["lz4", "-dc"], contents), 0
    if name == "lzo":
        raise KbuildError("contents compressed with lzo cannot be read here", hint="decompress them with lzop -d first")
    new = _decompressor(name)
    if new is not None:
        return _by_library(name, new, contents)
    rest = len(contents) - zstd_frame_end(contents)
    if rest > 0 and whole:
        return b"", rest
    return _by_program(["zstd", "-dc", "--long=27"], contents[: len(contents) - max(rest, 0)]), 0


def zstd_frame_end(contents: bytes | memoryview) -> int:
    """Where the zstd frame ends that `contents` begin with (RFC 8878, 3.1.1); beyond their end where it is cut off."""
    if len(contents) < 5:
        return len(contents)
    flags = contents[4]
    is_single = flags >> 5 & 1
    at = 5 + (1 - is_single) + (0, 1, 2, 4)[flags & 3] + (is_single, 2, 4, 8)[flags >> 6]
    is_last = 0
    while not is_last and at + 3 <= len(contents):
        header = int.from_bytes(contents[at : at + 3], "little")
        is_last, kind = header & 1, header >> 1 & 3
        at += 3 + (1 if kind == _RLE else header >> 3)
    return at + 4 * (flags >> 2 & 1) if is_last else len(contents)


_RLE = 1
"""A block of one byte that is repeated."""


def _decompressor(name: str) -> Callable[[], Any] | None:
    if name == "gzip":
        return lambda: zlib.decompressobj(wbits=31)
    if name == "bzip2":
        return bz2.BZ2Decompressor
    if name == "zstd":
        try:
            zstd = import_module("compression.zstd")
        except ImportError:
            return None
        return lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 27})
    return lambda: lzma.LZMADecompressor(memlimit=_MEMORY)


def _by_library(name: str, new: Callable[[], Any], contents: bytes) -> tuple[bytes, int]:
    stream, limit = new(), limit_for(len(contents))
    try:
        plain = bytes(stream.decompress(contents, limit + 1))
    # zstd's error is a class of its own in a module that need not be there
    except Exception as error:
        if isinstance(error, MemoryError) or "Memory usage limit" in str(error):
            raise KbuildError(f"the {name} contents need more than {_MEMORY >> 20} MiB of memory to unpack") from error
        raise KbuildError(f"damaged {name} contents: {error}") from error
    if len(plain) > limit:
        raise _too_much(name, limit)
    if not stream.eof:
        raise KbuildError(f"the {name} contents are cut off before their end")
    return plain, len(stream.unused_data)


def _by_program(argv: list[str], contents: bytes) -> bytes:
    limit = limit_for(len(contents))
    try:
        done = run(argv, input=contents, limit=limit)
    except CommandError as error:
        # (it was not started, or what it should have read could not be handed to it)
        if error.returncode in (126, 127):
            raise
        raise KbuildError(f"damaged {argv[0]} contents: {_complaint(error.stderr)}") from error
    if len(done.stdout) > limit:
        raise _too_much(argv[0], limit)
    return done.stdout


def _too_much(name: str, limit: int) -> KbuildError:
    return KbuildError(
        f"the {name} contents unpack to more than {limit >> 20} MiB",
        hint="no kernel and no module shrinks that much: the file is damaged, or made to take all memory",
    )


def _complaint(stderr: str) -> str:
    """The program's last line, without what it calls the file: that is its standard input."""
    return _STANDARD_INPUT.sub("", (stderr.strip().splitlines() or ["no reason given"])[-1]).strip()


_STANDARD_INPUT = re.compile(r"^.*?/\*stdin\*\\\s*:\s*")


_MAGIC = {
    "gzip": b"\x1f\x8b",
    "xz": b"\xfd7zXZ\0",
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x02\x21\x4c\x18",  # the legacy frame, which is what Kbuild makes (scripts/Makefile.lib: lz4)
    "lzo": b"\x89LZO",
    "bzip2": b"BZh",
    "lzma": b"\x5d\0\0",
}
_BEGINNINGS = tuple(_MAGIC.values())
