# SPDX-License-Identifier: GPL-2.0-only
"""The archives of an initramfs, one after the other: plain ones (microcode for the processor comes first), and
compressed ones.

Counterpart: init/initramfs.c (unpack_to_rootfs). Everything is read in pieces; zstd, lz4 and lzo are decompressed by
their programs.
"""

from __future__ import annotations

import bz2
import lzma
import mmap
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from kbuildpy.compression import compression_of, zstd_frame_end
from kbuildpy.errors import KbuildError
from kbuildpy.run_live import run_live
from kbuildpy.which.cpio import Choose, CpioReader

_PIECE = 1 << 18
_LIMIT = 1 << 32
"""Bytes that an image may unpack to."""
_PROGRAMS = {"zstd": ("zstd", "-dc", "--long=27"), "lz4": ("lz4", "-dc"), "lzo": ("lzop", "-dc")}
_LZ4, _LZ4_BLOCK = 0x184C2102, 8 << 20
_ZSTD = b"\x28\xb5\x2f\xfd"


def read_archives(file: BinaryIO, choose: Choose) -> None:
    """Read all archives in `file`. Raises `KbuildError` for an image that is damaged or cannot be decompressed; what
    was read before was handed on."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        raise KbuildError("the file is empty")
    file.seek(0)
    budget = [_LIMIT]
    while True:
        begin = _after_zeroes(file)
        if begin >= size:
            return
        head = file.read(16)
        file.seek(begin)
        if head.startswith(b"0707"):
            _read_plain(file, choose, budget)
            if file.tell() == begin:
                raise KbuildError(f"a damaged cpio archive, at byte {begin}")
            continue
        format = compression_of(head)
        if not format:
            raise KbuildError(f"neither an archive nor compressed, at byte {begin}")
        end = _read_compressed(file, format, size, choose, budget)
        if end <= begin:
            return
        file.seek(end)


def _after_zeroes(file: BinaryIO) -> int:
    """Move behind zeroes; returns where that is."""
    while True:
        at = file.tell()
        piece = file.read(_PIECE)
        rest = piece.lstrip(b"\0")
        if rest or not piece:
            return file.seek(at + len(piece) - len(rest))


def _read_plain(file: BinaryIO, choose: Choose, budget: list[int]) -> None:
    reader = CpioReader(choose)
    while True:
        at = file.tell()
        piece = file.read(_PIECE)
        if not piece:
            reader.finish()
            return
        _spend(budget, len(piece))
        taken = reader.feed(piece)
        if taken < len(piece):
            file.seek(at + taken)
            return


def _read_compressed(file: BinaryIO, format: str, size: int, choose: Choose, budget: list[int]) -> int:
    """Read the compressed archives that begin where `file` stands; returns where they end."""
    reader = CpioReader(choose)

    def feed(piece: bytes) -> None:
        _spend(budget, len(piece))
        if reader.feed(piece) < len(piece):
            raise KbuildError("something behind the end of the archive that is none")

    end = _by_program(file, format, size, feed) if format in _PROGRAMS else _by_library(file, format, feed)
    reader.finish()
    return end


def _spend(budget: list[int], count: int) -> None:
    budget[0] -= count
    if budget[0] < 0:
        raise KbuildError(f"the image unpacks to more than {_LIMIT >> 30} GiB")


def _by_library(file: BinaryIO, format: str, feed: Callable[[bytes], None]) -> int:
    stream = _stream(format)
    try:
        while not stream.eof:
            piece = file.read(_PIECE)
            if not piece:
                raise KbuildError(f"the {format} contents are cut off before their end")
            for plain in _pieces(stream, format, piece):
                feed(plain)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise KbuildError(f"damaged {format} contents: {error}") from error
    return file.tell() - len(stream.unused_data)


def _stream(format: str) -> Any:
    if format == "gzip":
        return zlib.decompressobj(wbits=31)
    return bz2.BZ2Decompressor() if format == "bzip2" else lzma.LZMADecompressor(memlimit=(1 << 27) + (1 << 24))


def _pieces(stream: Any, format: str, piece: bytes) -> Iterator[bytes]:
    """What `piece` decompresses to, in pieces of a limited size."""
    while True:
        plain = stream.decompress(piece, _PIECE)
        if plain:
            yield plain
        if stream.eof:
            return
        if format == "gzip":
            piece = stream.unconsumed_tail
            if not piece and not plain:
                return
        else:
            piece = b""
            if stream.needs_input:
                return


def _by_program(file: BinaryIO, format: str, size: int, feed: Callable[[bytes], None]) -> int:
    begin = file.tell()
    end = _end_of(file, format, begin, size)
    # (the program gets no more than the stream: it would complain of what follows)
    with tempfile.TemporaryFile() as copy:
        file.seek(begin)
        while file.tell() < end:
            copy.write(file.read(min(_PIECE, end - file.tell())))
        copy.seek(0)

        def watch(piece: bytes) -> None:
            if piece:
                feed(piece)

        run_live(_PROGRAMS[format], watch=watch, stdin=copy.fileno())
    return end


def _end_of(file: BinaryIO, format: str, begin: int, size: int) -> int:
    """Where the streams end that begin at `begin`."""
    if format == "lzo":
        return size
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as contents:
        at = begin
        if format == "zstd":
            while contents[at : at + 4] == _ZSTD:
                with contents[at:] as rest:
                    at += zstd_frame_end(rest)
            return min(at, size)
        at += 4
        while at + 4 <= size:
            length = int.from_bytes(contents[at : at + 4], "little")
            # (another stream may follow at once; a block is at most a little longer than what it unpacks to)
            if length != _LZ4 and not 0 < length <= _LZ4_BLOCK + _LZ4_BLOCK // 255 + 16:
                break
            at += 4 if length == _LZ4 else 4 + length
        return min(at, size)
