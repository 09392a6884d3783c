# SPDX-License-Identifier: GPL-2.0-only
"""Names of modules: what C, the kernel's build and the kernel itself take."""

from __future__ import annotations

import re
from pathlib import Path

from kbuildpy.errors import UsageError

LONGEST = 55
"""Characters of a name on 64-bit kernels: MODULE_NAME_LEN (include/linux/moduleparam.h) is 64 less a pointer, and a NUL
ends the name."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# ISO C, GNU C's own, and what the compiler defines to 1 in GNU mode (gcc -dM -E -std=gnu11); `current` is the kernel's
# macro for the running task.
_KEYWORDS = frozenset(
    word
    for line in (
        "auto break case char const continue default do double else enum extern float for goto if inline int long",
        "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while",
        "bool true false asm typeof linux unix i386 current",
    )
    for word in line.split()
)


def check_name(name: str, *, taken: dict[str, str]) -> str:
    """`name`, if it is a valid name for a module. `taken` are names that are in use, each with its user.

    Raises `UsageError` with the reason for an invalid name.
    """
    if not name:
        raise UsageError("a module needs a name", hint="kbuildpy new TEMPLATE NAME")
    if not _IDENTIFIER.fullmatch(name):
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        usable = plain if _IDENTIFIER.fullmatch(plain) else f"m{plain}"
        why = "the kernel turns - into _" if name.replace("-", "_") == plain else "it is part of names in C"
        raise UsageError(
            f"{name!r} cannot be the name of a module: {why}, so it consists of letters, digits and _",
            hint=f"{usable} would do" if usable.isascii() else "",
        )
    if name in _KEYWORDS:
        raise UsageError(f"{name!r} cannot be the name of a module: it is a word of the C language or a macro")
    if len(name) > LONGEST:
        raise UsageError(
            f"{name!r} is too long for the name of a module: {len(name)} characters",
            hint=f"the kernel takes {LONGEST} (MODULE_NAME_LEN)",
        )
    if name.lower() in taken:
        raise UsageError(
            f"{name!r} is the name of one of the kernel's own modules ({taken[name.lower()]})",
            hint="a kernel loads one module of a name: choose another one",
        )
    return name


def check_place(directory: Path) -> None:
    """Raise `UsageError` unless a directory can be made at `directory`: nothing is there, and its parent is."""
    if directory.is_symlink() or directory.exists():
        raise UsageError(
            f"{directory}: exists already",
            hint="choose another directory with -o DIR; existing files are never overwritten",
        )
    if not directory.parent.is_dir():
        raise UsageError(f"{directory.parent}: no such directory", hint="make it first")
