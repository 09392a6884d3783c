"""Decompression of modules and kernel images, by what the contents begin with.

xz, lzma, gzip and bzip2 are the standard library's; zstd is where Python has it (3.14), else the program's, as lz4
always is. What follows the compressed stream is left alone: kernel images have a length there.
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

LIMIT = 1 << 30
"""Bytes that decompressed contents may have: a damaged or hostile file must not take all memory."""


def compression_of(contents: bytes) -> str:
    """What `contents` are compressed with: a key of what can be decompressed, "" for nothing that is known."""
    return next((name for name, magic in _MAGIC.items() if contents.startswith(magic)), "")


def decompress(contents: bytes) -> bytes:
    """`contents` decompressed; themselves if they are not compressed.

    Raises `KbuildError` for a damaged stream, for more than `LIMIT`, and when the program for it is missing.
    """
    name = compression_of(contents)
    if not name:
        return contents
    if name == "lz4":
        return _by_program(["lz4", "-dc"], contents)
    if name == "lzo":
        raise KbuildError("contents compressed with lzo cannot be read here", hint="decompress them with lzop -d first")
    new = _decompressor(name)
    if new is None:
        return _by_program(["zstd", "-dc", "--long=31"], contents)
    return _by_library(name, new, contents)


def _decompressor(name: str) -> Callable[[], Any] | None:
    if name == "gzip":
        return lambda: zlib.decompressobj(wbits=31)
    if name == "bzip2":
        return bz2.BZ2Decompressor
    if name == "zstd":
        try:
            found: Callable[[], Any] = import_module("compression.zstd").ZstdDecompressor
        except ImportError:
            return None
        return found
    return lzma.LZMADecompressor


def _by_library(name: str, new: Callable[[], Any], contents: bytes) -> bytes:
    stream = new()
    try:
        plain = bytes(stream.decompress(contents, LIMIT))
    # zstd's error is a class of its own in a module that need not be there
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        raise KbuildError(f"damaged {name} contents: {error}") from error
    if not stream.eof:
        what = f"more than {LIMIT >> 20} MiB" if len(plain) >= LIMIT else "cut off before their end"
        raise KbuildError(f"the {name} contents are {what}")
    return plain


def _by_program(argv: list[str], contents: bytes) -> bytes:
    try:
        return run(argv, input=contents).stdout
    except CommandError as error:
        if error.returncode == 127:
            raise
        raise KbuildError(f"damaged {argv[0]} contents: {_complaint(error.stderr)}") from error


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
