# SPDX-License-Identifier: GPL-2.0-only
"""Writes the Kbuild file for a module that an SConstruct declares with `env.KernelModule()`.

That Kbuild file is then evaluated like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from kbuildpy.errors import UsageError

SOURCE_SUFFIXES = (".c", ".S", ".rs")
_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_,.+-]*$")


def kbuild_file_text(
    name: str,
    sources: Sequence[str],
    *,
    ccflags: Sequence[str] = (),
    asflags: Sequence[str] = (),
    ldflags: Sequence[str] = (),
) -> str:
    """The Kbuild file for module `name` made from `sources` (paths below the module directory).

    `ccflags`, `asflags` and `ldflags` are single words, quoted here for the shell. Raises `UsageError` for an invalid
    module name, for no sources, for a source that Kbuild can neither compile nor link or whose path has a space, for
    two sources of the same object, and for a composite module with an object of the module's name.
    """
    if not _NAME.match(name) or name.endswith((*SOURCE_SUFFIXES, ".o", ".ko")):
        raise UsageError(
            f"{name!r} is not the name of a module", hint="give the name without a suffix: 'hello' for hello.ko"
        )
    if not sources:
        raise UsageError(f"module {name}: no sources", hint=f"KernelModule('{name}', ['{name}.c'])")
    objects = []
    for source in sources:
        path = PurePosixPath(source)
        if re.search(r"\s", source):
            raise UsageError(
                f"module {name}: {source}: the path contains a space, and Kbuild cannot build it",
                hint="rename it: make's lists are words between spaces",
            )
        if path.suffix == ".o" or source.endswith(".o_shipped"):
            objects.append(source.removesuffix("_shipped"))
        elif path.suffix in SOURCE_SUFFIXES:
            objects.append(str(path.with_suffix(".o")))
        else:
            raise UsageError(
                f"module {name}: {source}: Kbuild compiles .c, .S and .rs files, and links .o and .o_shipped",
                hint="remove other files from the sources; headers are found automatically",
            )
    doubled = {item for item in objects if objects.count(item) > 1}
    if doubled:
        raise UsageError(f"module {name}: two sources make {', '.join(sorted(doubled))}", hint="rename one of them")
    lines = [f"obj-m := {name}.o"]
    if objects != [f"{name}.o"]:
        if f"{name}.o" in objects:
            raise UsageError(
                f"module {name}: one of its several sources is also called {name}",
                hint=f"{name}.o is what its objects are linked into: rename the source or the module",
            )
        lines.append(f"{name}-y := {' '.join(map(_make_name, objects))}")
    for variable, flags in (("ccflags-y", ccflags), ("asflags-y", asflags), ("ldflags-y", ldflags)):
        if flags:
            lines.append(f"{variable} := {' '.join(map(_make_word, flags))}")
    return "\n".join(lines) + "\n"


def _make_name(name: str) -> str:
    """`name` escaped for a makefile's variable that holds a list of files, which no shell reads."""
    return name.replace("$", "$$").replace("#", "\\#")


def _make_word(word: str) -> str:
    """`word` quoted and escaped for a makefile's variable whose value becomes part of a shell command."""
    if not re.fullmatch(r"[A-Za-z0-9_@%+=:,./\"'\\()-]+", word):
        if any(character in word for character in " \t\n$#"):
            quoted = "'" + word.replace("'", "'\\''") + "'"
            return quoted.replace("$", "$$").replace("#", "\\#")
        return "'" + word.replace("'", "'\\''") + "'"
    if any(character in word for character in "\"'\\()"):
        return "'" + word.replace("'", "'\\''") + "'"
    return word
