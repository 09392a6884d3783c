"""The `.X.o.cmd` file of an object: what Kbuild recorded when it compiled it.

Two things in it concern modpost: `#SYMVER NAME CRC` lines (scripts/mod/modpost.c: extract_crcs_for_object)
and the list of source files (scripts/mod/sumversion.c: parse_source_files).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import KbuildError


@dataclass(frozen=True)
class ObjectRecord:
    """One object file of a module, as the build recorded it.

    `name` is the object's nominal path as Kbuild names it ("/home/u/drv/sub/a.o" up to 6.12, "sub/a.o" from
    6.13 on); `record` is the file in Kbuild's own format, wherever our build keeps it.
    """

    name: str
    record: Path

    def read(self) -> str:
        """The record's text up to a NUL byte, where the C code would see its end."""
        try:
            text = self.record.read_bytes()
        except OSError as error:
            raise KbuildError(
                f"{self.record}: {error.strerror}",
                hint=f"the record of {self.name} is missing; remove the object and build again",
            ) from error
        return text.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def recorded_crcs(text: str) -> Iterator[tuple[str, int]]:
    """The (symbol, CRC) pairs in a record; a line whose number is malformed is passed over."""
    for match in SYMVER_LINE.finditer(text):
        name, digits = match.groups()
        if digits[:2] in ("0x", "0X"):
            yield name, int(digits, 16) & 0xFFFFFFFF
        elif digits.startswith("0") and len(digits) > 1:
            if OCTAL.fullmatch(digits):
                yield name, int(digits, 8) & 0xFFFFFFFF
        else:
            yield name, int(digits) & 0xFFFFFFFF


def recorded_sources(text: str, name: str) -> Iterator[str]:
    """The files that count for the srcversion of object `name`, as the record spells them, in its order.

    That is the source itself and every dependency in the object's own directory, and only there: not in
    a directory below it. An object without a directory in its name (7.3) has no such dependencies.
    A line `source_X` that names no file is yielded as "" followed by the line.
    """
    directory = name[: name.rfind("/") + 1]
    end = deps = DEPS_LINE.search(text)
    if deps is not None:
        end = DEPS_END.search(text, deps.end())
    head = text[: deps.start() if deps is not None else len(text)]
    for match in SOURCE_LINE.finditer(head):
        line = match.group(1)
        if " " not in line:
            yield ""
            yield line
            return
        yield line.rpartition(" ")[2]
    if deps is None or not directory:
        return
    block = text[deps.end() : end.end() if end is not None else len(text)]
    at = block.find(directory)
    while at >= 0:
        start = block.rfind("\n", 0, at) + 1
        stop = block.find("\n", at)
        stop = len(block) if stop < 0 else stop
        line = block[start:stop].lstrip(SPACE)
        if line.endswith("\\"):
            file = FIRST_WORD.match(line)
            path = file.group() if file is not None else ""
            if path.find(directory) + len(directory) - 1 == path.rfind("/") >= 0 and directory in path:
                yield path
        at = block.find(directory, stop)


SPACE = " \t\n\v\f\r"
SYMVER_LINE = re.compile(r"\n#SYMVER ([^ ]*) (0[xX][0-9a-fA-F]+|[0-9]+)(?=\n)")
OCTAL = re.compile(r"[0-7]+")
SOURCE_LINE = re.compile(r"^[ \t\v\f\r]*(source_.*)$", re.MULTILINE)
DEPS_LINE = re.compile(r"^[ \t\v\f\r]*deps_.*\n?", re.MULTILINE)
DEPS_END = re.compile(r"(?:(?<=\n)|[^\\\n])\n")
FIRST_WORD = re.compile(r"[^ \t\n\v\f\r]*")
