# SPDX-License-Identifier: GPL-2.0-only
"""Names of files that mean the same on another machine: `$(src)/drv.c`, `$(srctree)/include/linux/module.h`.

They are Kbuild's own words: `$(src)` is the module's directory, `$(srctree)` the source part of the kernel tree,
`$(objtree)` its object part. Other files have their absolute paths.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kbuildpy.kbuild.stamps import stamp
from kbuildpy.kernel.output_folder import output_folder
from kbuildpy.kernel.tree import KernelTree

_TOKEN = re.compile(r"^\$\((src|srctree|objtree)\)/")


@dataclass(frozen=True)
class BuildPlaces:
    """Where a module and its kernel tree are on one machine; absolute, physical paths."""

    directory: str
    """The module directory."""
    source: str
    """The source part of the kernel tree."""
    objects: str
    """The object part of the kernel tree."""

    def name(self, path: str) -> str:
        """The name of the file `path` (absolute, normal)."""
        for top, word in self._tops:
            if path == top or path.startswith(f"{top}/"):
                return f"{word}{path[len(top) :]}"
        return path

    def path(self, name: str) -> str:
        """The file that `name` means here; the inverse of `name`."""
        found = _TOKEN.match(name)
        if found is None:
            return name
        top = {"src": self.directory, "srctree": self.source, "objtree": self.objects}[found[1]]
        return f"{top}/{name[found.end() :]}"

    def text(self, command: str) -> str:
        """The text of a command with these names in place of paths."""
        return self._pattern.sub(lambda match: dict(self._tops)[match[0]], command)

    @cached_property
    def _tops(self) -> list[tuple[str, str]]:
        """Each directory with its word; one that is inside another comes first."""
        words = {self.source: "$(srctree)"}
        words.setdefault(self.objects, "$(objtree)")
        words.setdefault(self.directory, "$(src)")
        return sorted(words.items(), key=lambda item: -len(item[0]))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        tops = "|".join(re.escape(top) for top, _ in self._tops)
        return re.compile(rf"(?<![\w.-])(?:{tops})(?![\w.-])|(?<=-I)(?:{tops})(?![\w.-])")


def symvers_file(path: str, tree: KernelTree) -> str:
    """The file that a name in KBUILD_EXTRA_SYMBOLS stands for: Kbuild leaves a `Module.symvers` beside the sources,
    ours is in `build/RELEASE` there, and the newer one of both counts."""
    folder, _, base = path.rpartition("/")
    ours = output_folder(Path(folder, "build"), tree) / base
    return str(ours) if base == "Module.symvers" and ours.is_file() and stamp(ours)[0] >= stamp(path)[0] else path


def is_own_name(name: str) -> bool:
    """Whether a name is that of a file in the module directory."""
    return name.startswith("$(src)/")
