# SPDX-License-Identifier: GPL-2.0-only
"""What modprobe.d and the kernel command line say to modprobe.

Counterpart: kmod (libkmod/libkmod-config.c). The surprise: `modules.softdep`, which depmod writes, is read among these
files by its name, so that a soft dependency in `a.conf` comes before what a module says of itself, and one in `z.conf`
after it; and only the first counts.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kbuildpy.kernel.command_line import modprobe_settings
from kbuildpy.kernel.depmod_indexes import Softdeps
from kbuildpy.kernel.rooted import Rooted, configuration_files
from kbuildpy.kernel.shell_pattern import with_underscores

FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
COMMAND_LINE = "/proc/cmdline"
_SPACE = " \t"
_C_SPACE = " \t\n\v\f\r"
_TWO_WORDS = ("options", "install", "remove", "softdep", "weakdep")


class Directive(NamedTuple):
    """A line of modprobe.d, or what a word of the kernel command line stands for."""

    kind: str
    """`alias`, `blacklist`, `options`, `install`, `remove`, `softdep` or `weakdep`."""
    key: str
    """The name or pattern that it is about, with _ for -."""
    value: str
    """The rest of the line; of an alias the module's name; of a blacklist nothing."""
    file: str
    """The path of the file in the system."""
    line: int
    """Where it begins; 0 on the kernel command line."""

    @property
    def place(self) -> str:
        """File and line, for people."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class ModprobeConfig:
    """All directives of a system, in the order in which they are read."""

    directives: tuple[Directive, ...] = ()

    def of_kind(self, kind: str) -> list[Directive]:
        """The directives of one kind."""
        return [each for each in self.directives if each.kind == kind]


def read_modprobe_config(system: Rooted, directory: str) -> ModprobeConfig:
    """The directives of `system` for the kernel whose modules are in `directory`, a path in the system."""
    files = configuration_files(system, FOLDERS)
    files += [f"{directory}/{name}" for name in ("modules.softdep", "modules.weakdep")]
    texts = [(path, system.text(path)) for path in sorted(files, key=_order)]
    found = [each for path, text in texts if text is not None for each in parse_modprobe_file(text, path)]
    words = system.text(COMMAND_LINE)
    for setting in modprobe_settings(words or ""):
        found.append(Directive(setting.kind, setting.key, setting.value, COMMAND_LINE, 0))
    return ModprobeConfig(tuple(found))


def parse_modprobe_file(text: str, path: str) -> Iterator[Directive]:
    """The directives in the `text` of the file `path`; lines that kmod ignores are left out."""
    for number, line in logical_lines(text):
        if line.startswith("#"):
            continue
        kind, rest = _word(line)
        key, rest = _word(rest)
        value = rest
        if kind == "alias":
            value, _ = _word(rest)
            value = with_underscores(value) or ""
        elif kind == "blacklist":
            value = ""
        elif kind not in _TWO_WORDS:
            continue
        key = with_underscores(key) or ""
        if key and (value or kind == "blacklist"):
            yield Directive(kind, key, value.replace("\t", " ") if kind == "options" else value, path, number)


def soft_dependencies(value: str) -> Softdeps:
    """The value of a `softdep`: `pre: a b post: c`.

    kmod takes a single space before the first word for a part of it: from `softdep a  pre: b`, with two spaces, it
    reads the word ` pre:`, and so nothing.
    """
    found: dict[str, list[str]] = {"pre:": [], "post:": [], "": []}
    kind, begin, after_space = "", 0, False
    for at in range(len(value) + 1):
        is_end = at == len(value)
        if not is_end:
            if value[at] not in _C_SPACE:
                after_space = False
                continue
            if after_space:
                begin = at + 1
                continue
            after_space = True
            if begin >= at:
                continue
        word = value[begin:at]
        if word in ("pre:", "post:"):
            kind = word
        elif not is_end or not after_space:
            found[kind].append(word)
        begin = at + 1
    return Softdeps(tuple(found["pre:"]), tuple(found["post:"]))


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file as kmod joins them, each with the number of its first one: a backslash at the end of a line
    is taken out with the end, any other before a character is taken out alone (shared/util.c: freadline_wrapped)."""
    number = first = 1
    line: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        at += 1
        if character == "\\":
            escaped = text[at : at + 1]
            at += 1
            if escaped == "\n":
                number += 1
            else:
                line.append(escaped)
        elif character == "\n":
            yield first, _whole(line)
            number += 1
            first, line = number, []
        else:
            line.append(character)
    if line:
        yield first, _whole(line)


def about(directives: Iterable[Directive], names: Sequence[str]) -> list[Directive]:
    """Those of `directives` that have one of `names` for their key."""
    return [each for each in directives if each.key in names]


def _whole(characters: list[str]) -> str:
    return "".join(characters).partition("\0")[0]


def _word(text: str) -> tuple[str, str]:
    """The first word, and what follows the one separator behind it."""
    text = text.lstrip(_SPACE)
    end = next((at for at, character in enumerate(text) if character in _SPACE), len(text))
    return text[:end], text[end + 1 :]


def _order(path: str) -> bytes:
    return posixpath.basename(path).encode("utf-8", "surrogateescape")
