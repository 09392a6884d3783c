# SPDX-License-Identifier: GPL-2.0-only
"""Maps the nominal names of a plan to files.

A nominal name is the one that Kbuild gives to a file; outputs then lie beside the sources. kbuildpy writes output to a
directory of its own, so it replaces the names of outputs in a command before the command runs. Names of inputs stay.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from kbuildpy.kbuild.normal_path import normal_path
from kbuildpy.kbuild.overlay import Overlay

# What Kbuild's commands write beside an object, after its stem.
_BESIDE = r"\.(?:o|mod|symtypes|symref|usyms|gendwarfksyms\.o|dwo|gcno|ver|(?:m\.)?bc)"
# Suffixes of the other forms of a source, which Kbuild writes beside the object.
_FORM = re.compile(r"\.(?:i|s|lst|ll|symtypes|rsi)$")
_BEFORE = r"(?<![^\s=,'\"@>(;:])"


class Layout(NamedTuple):
    """Maps nominal names to files. All paths are absolute."""

    directory: str
    """The module directory that the user named."""
    evaluated: str
    """The directory that Kbuild was asked about: `directory`, or a copy for the Kbuild file's own rules to write in."""
    out: str
    """The output directory."""
    cwd: str
    """The directory in which Kbuild runs commands for `evaluated`."""
    overlay: Overlay | None = None
    """The overlay below which commands run; None for none."""

    def absolute(self, name: str) -> str:
        """The nominal file that `name` means, as an absolute path in `evaluated`."""
        return normal_path(self.cwd, name)

    def find(self, path: str) -> str:
        """The file that commands find at `path` (absolute)."""
        return self.overlay.find(path) if self.overlay else path

    def relative(self, name: str) -> str:
        """`name` as a path below the module directory; for a file outside of it, `_up` replaces each `..`."""
        path = os.path.relpath(self.absolute(name), self.evaluated)
        return path.replace("../", "_up/") if path.startswith("../") else path

    def actual(self, name: str) -> str:
        """The path of the output whose nominal name is `name`."""
        return f"{self.out}/{self.relative(name)}"

    def nominal(self, text: str) -> str:
        """`text` (a name, or the text of a modules.order) with the user's directory in place of its copy."""
        if self.evaluated == self.directory:
            return text
        return text.replace(self.evaluated, self.directory)

    @property
    def renames(self) -> tuple[str, str] | None:
        """The path of the copy, and the path of the user's directory that replaces it in messages of programs that work
        in the copy. None where there is no copy."""
        return None if self.evaluated in (self.directory, self.out) else (self.evaluated, self.directory)

    def relocate(self, command: str, outputs: Iterable[str]) -> str:
        """`command` with the paths in `out` for `outputs` (nominal names of objects, or of other forms of a source) and
        for the files that Kbuild writes beside them."""
        for name in outputs:
            command = self._move(command, name)
        return command

    def prefix_map(self) -> tuple[str, ...]:
        """Compiler options that replace `evaluated` by `directory` in debug information. Compilers do not record these
        options there."""
        if self.evaluated == self.directory:
            return ()
        return (f"-ffile-prefix-map={self.evaluated}={self.directory}",)

    def out_prefix_map(self) -> tuple[str, ...]:
        """Compiler options that replace `out` by `directory` in debug information, for sources in `out` (`.mod.c`)."""
        return (f"-fdebug-prefix-map={self.out}={self.directory}",)

    def _move(self, command: str, name: str) -> str:
        folder, _, base = name.rpartition("/")
        form = _FORM.search(base)
        stem = base[: form.start()] if form else base.removesuffix(".o")
        beside = f"(?:\\.o|{re.escape(form[0])})" if form else _BESIDE
        there = os.path.dirname(self.actual(name))  # noqa: PTH120
        prefix = f"{re.escape(folder)}/" if folder else r"(?:\./)?"
        # Up to 5.18 Kbuild writes `.tmp_NAME.ver` and `.tmp_NAME.o` to add CRCs to an object.
        hidden = f"{_BEFORE}{prefix}\\.(tmp_)?{re.escape(stem)}(?={beside})"
        depfile = f"{_BEFORE}{prefix}\\.{re.escape(stem.replace(',', '_'))}(?={beside}\\.d)"
        plain = f"{_BEFORE}{prefix}{re.escape(stem)}(?={beside}(?![\\w.-]))"
        command = re.sub(hidden, lambda match: f"{there}/.{match[1] or ''}{stem}", command)
        if "," in stem:
            command = re.sub(depfile, lambda _: f"{there}/.{stem.replace(',', '_')}", command)
        return re.sub(plain, lambda _: f"{there}/{stem}", command)
