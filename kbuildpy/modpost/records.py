# SPDX-License-Identifier: GPL-2.0-only
"""Reads the `.NAME.o.cmd` file of an object, the record that Kbuild writes when it compiles the object.

modpost reads the `#SYMVER NAME CRC` lines in it (scripts/mod/modpost.c: extract_crcs_for_object) and the list of
sources and headers (scripts/mod/sumversion.c: parse_source_files).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from kbuildpy.errors import KbuildError


@dataclass(frozen=True)
class ObjectRecord:
    """An object of a module, and its `.cmd` file."""

    name: str
    """The object's nominal path as the `.mod` file names it ("/home/u/drv/sub/a.o" up to 6.12, "./sub/a.o" from 6.13
    on)."""
    record: Path
    """The path of the `.cmd` file, which may be elsewhere than beside the nominal object."""

    def read(self) -> str:
        """The text of the `.cmd` file up to the first NUL byte, where modpost's C code ends too. Raises `KbuildError`
        if the file cannot be read."""
        try:
            text = self.record.read_bytes()
        except OSError as error:
            raise self._missing(error) from error
        return text.partition(b"\0")[0].decode("utf-8", "surrogateescape")

    def require(self) -> None:
        """Raise `KbuildError` if there is no `.cmd` file."""
        try:
            os.stat(self.record)  # noqa: PTH116 - one for each object of each module
        except OSError as error:
            raise self._missing(error) from error

    def _missing(self, error: OSError) -> KbuildError:
        name = PurePath(self.name).name
        return KbuildError(
            f"{self.record}: {error.strerror}",
            hint=f"modpost reads the .cmd file of {name}: an object that comes with the sources needs one "
            "beside it (it may be empty); remove an object that was built here, and build it again",
        )


@dataclass(frozen=True)
class ModuleObject:
    """A module object, the input of modpost."""

    name: str
    """The nominal path without ".o" ("/home/u/drv/hello" up to 6.12, "hello" later)."""
    path: Path
    """The path of the object."""
    objects: tuple[ObjectRecord, ...]
    """The objects that it was linked from, in the order of the `.mod` file."""


def recorded_crcs(text: str) -> Iterator[tuple[str, int]]:
    """The pairs of symbol and CRC in the text of a `.cmd` file; a line with a malformed number is skipped."""
    for match in SYMVER_LINE.finditer(text):
        name, digits = match.groups()
        if digits[:2] in ("0x", "0X"):
            yield name, int(digits, 16) & 0xFFFFFFFF
        elif digits.startswith("0") and len(digits) > 1:
            if OCTAL.fullmatch(digits):
                yield name, int(digits, 8) & 0xFFFFFFFF
        else:
            yield name, int(digits) & 0xFFFFFFFF


def recorded_sources(text: str, name: str, *, with_headers: bool = True) -> Iterator[str]:
    """The files whose contents the srcversion covers, for the object `name`, from the `text` of its `.cmd` file.

    They are the source and the headers in the object's own directory, not those in directories below. If `name` has no
    directory, there are no such headers; for "./sub/a.o" (from 6.13 on) they are those written "./sub/x.h", not
    "sub/x.h". Names and order are those of the `.cmd` file. A line `source_X` that names no file is yielded as "",
    followed by the line. Without `with_headers` (kernels before 6.8, which stumble over the white space that fixdep
    writes before a header) there are only sources.
    """
    directory = name[: name.rfind("/") + 1] if with_headers else ""
    deps = _line_starting(text, "deps_", 0)
    after = text.find("\n", deps) + 1 or len(text)
    if deps >= 0 and (_line_starting(text, "source_", after) >= 0 or _line_starting(text, "deps_", after) >= 0):
        yield from line_by_line(text, directory)
        return
    head = text if deps < 0 else text[:deps]
    at = _line_starting(head, "source_", 0)
    while at >= 0:
        line = head[at:].partition("\n")[0]
        if " " not in line:
            yield ""
            yield line
            return
        yield line.rpartition(" ")[2]
        at = _line_starting(head, "source_", at + 1)
    if deps < 0 or not directory:
        return
    block = _continued_lines(text, after)
    at = block.find(directory)
    while at >= 0:
        start, stop = block.rfind("\n", 0, at) + 1, block.find("\n", at)
        path = _first_word(block[start:stop])
        if _lies_in(path, directory):
            yield path
        at = block.find(directory, stop)


def line_by_line(text: str, directory: str) -> Iterator[str]:
    """As `recorded_sources`, but reads one line after the other as the C code does: slower, and right also for `.cmd`
    files that fixdep did not write."""
    in_deps = False
    for line in text.split("\n"):
        line = line.lstrip(SPACE)
        if line.startswith("source_"):
            if " " not in line:
                yield ""
                yield line
                return
            yield line.rpartition(" ")[2]
        elif line.startswith("deps_"):
            in_deps = True
        elif in_deps:
            if not line.endswith("\\"):
                return
            path = _first_word(line)
            if directory and _lies_in(path, directory):
                yield path


def _first_word(line: str) -> str:
    return REST_AFTER_WORD.sub("", line.lstrip(SPACE))


def _lies_in(path: str, directory: str) -> bool:
    place = path.find(directory)
    return place >= 0 and place + len(directory) - 1 == path.rfind("/")


def _line_starting(text: str, word: str, at: int) -> int:
    """The index of `word` in the first line, from `at` on, that begins with it (after white space); -1 for none."""
    at = text.find(word, at)
    while at >= 0:
        if not text[text.rfind("\n", 0, at) + 1 : at].strip(SPACE):
            return at
        at = text.find(word, at + 1)
    return -1


def _continued_lines(text: str, start: int) -> str:
    """The lines from `start` on that end in a backslash, up to the first that does not.

    fixdep ends the list with an empty line. If there are as many newlines as backslashes before newlines, every line
    before it ends in a backslash, and need not be looked at.
    """
    end = text.find("\n\n", start - 1) + 1 or len(text)
    block = text[start:end]
    if not block or (block.endswith("\n") and block.count("\n") == block.count("\\\n")):
        return block
    lines = block.split("\n")
    first = next((number for number, line in enumerate(lines) if not line.endswith("\\")), len(lines))
    return "".join(f"{line}\n" for line in lines[:first])


SPACE = " \t\n\v\f\r"
SYMVER_LINE = re.compile(r"\n#SYMVER ([^ ]*) (0[xX][0-9a-fA-F]+|[0-9]+)(?=\n)")
OCTAL = re.compile(r"[0-7]+")
REST_AFTER_WORD = re.compile(r"[ \t\n\v\f\r].*", re.DOTALL)
