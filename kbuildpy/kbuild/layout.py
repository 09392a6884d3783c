# SPDX-License-Identifier: GPL-2.0-only
"""Where the files of a plan really are.

Kbuild's names are nominal: they lie beside the sources. Output goes to a directory of its own, so every name
of an output that stands in a command is replaced before the command runs. Inputs stay where they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from kbuildpy.kbuild.overlay import Overlay

# What Kbuild's commands write beside an object, after its stem.
_BESIDE = r"\.(?:o|mod|symtypes|symref|usyms|gendwarfksyms\.o|dwo|gcno|ver)"
# Other forms of a source, which lie beside its object.
_FORM = re.compile(r"\.(?:i|s|lst|ll|symtypes)$")
_BEFORE = r"(?<![^\s=,'\"@>(;:])"


@dataclass(frozen=True)
class Layout:
    """Maps nominal names to files. All paths are absolute."""

    directory: str
    """The module directory that the user named."""
    evaluated: str
    """The directory that Kbuild was asked about: the same, or a copy, which the Kbuild file's own rules write into."""
    out: str
    """Where output goes."""
    cwd: str
    """Where Kbuild runs commands for `evaluated`."""
    overlay: Overlay | None = None
    """Commands run below it, if there is one."""

    def absolute(self, name: str) -> str:
        """The nominal file that `name` means, as an absolute path in `evaluated`."""
        return os.path.normpath(os.path.join(self.cwd, name))  # noqa: PTH118 - hot: ten times a Path's speed

    def find(self, path: str) -> str:
        """The file that commands find at `path` (absolute)."""
        return self.overlay.find(path) if self.overlay else path

    def relative(self, name: str) -> str:
        """`name` below the module directory; a name outside of it is folded in, `..` becoming `_up`."""
        path = os.path.relpath(self.absolute(name), self.evaluated)
        return path.replace("../", "_up/") if path.startswith("../") else path

    def actual(self, name: str) -> str:
        """Where the output that Kbuild calls `name` goes."""
        return f"{self.out}/{self.relative(name)}"

    def nominal(self, text: str) -> str:
        """`text` (a name, or a whole modules.order) as Kbuild would write it for the user's directory."""
        if self.evaluated == self.directory:
            return text
        return text.replace(self.evaluated, self.directory)

    @property
    def renames(self) -> tuple[str, str] | None:
        """The path of the copy and the path of the user's directory, for messages of programs that work in a copy."""
        return None if self.evaluated in (self.directory, self.out) else (self.evaluated, self.directory)

    def relocate(self, command: str, outputs: Iterable[str]) -> str:
        """`command` with each of `outputs` (nominal objects, or other forms of a source), and what Kbuild writes beside
        them, moved to `out`."""
        for name in outputs:
            command = self._move(command, name)
        return command

    def prefix_map(self) -> tuple[str, ...]:
        """Compiler options that make `evaluated` look like `directory` in debug information; compilers do not record
        them there."""
        if self.evaluated == self.directory:
            return ()
        return (f"-ffile-prefix-map={self.evaluated}={self.directory}",)

    def out_prefix_map(self) -> tuple[str, ...]:
        """The same for sources that lie among the output (`.mod.c`)."""
        return (f"-fdebug-prefix-map={self.out}={self.directory}",)

    def _move(self, command: str, name: str) -> str:
        folder, _, base = name.rpartition("/")
        form = _FORM.search(base)
        stem = base[: form.start()] if form else base.removesuffix(".o")
        beside = f"(?:\\.o|{re.escape(form[0])})" if form else _BESIDE
        there = os.path.dirname(self.actual(name))  # noqa: PTH120
        prefix = f"{re.escape(folder)}/" if folder else r"(?:\./)?"
        # (Up to 5.18 CRCs came into an object by way of `.tmp_NAME.ver` and `.tmp_NAME.o`.)
        hidden = f"{_BEFORE}{prefix}\\.(tmp_)?{re.escape(stem)}(?={beside})"
        depfile = f"{_BEFORE}{prefix}\\.{re.escape(stem.replace(',', '_'))}(?={beside}\\.d)"
        plain = f"{_BEFORE}{prefix}{re.escape(stem)}(?={beside}(?![\\w.-]))"
        command = re.sub(hidden, lambda match: f"{there}/.{match[1] or ''}{stem}", command)
        if "," in stem:
            command = re.sub(depfile, lambda _: f"{there}/.{stem.replace(',', '_')}", command)
        return re.sub(plain, lambda _: f"{there}/{stem}", command)
