# SPDX-License-Identifier: GPL-2.0-only
"""Refuses directories and names that Kbuild, make or SCons cannot work with (`UsageError`)."""

from __future__ import annotations

from glob import glob
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.similar import similar_file

# The top Makefile itself refuses white space and ':' (the checks of KBUILD_EXTMOD). The other characters reach the
# shell, make's own syntax or the compiler's options (`-Wp,`) unquoted.
_UNBUILDABLE = {" ": "a space", "\t": "a tab", "\n": "a newline"}
_UNBUILDABLE |= {character: f"'{character}'" for character in ":%,$#()<>;&|`'\"\\"}
_PATTERN = frozenset("*?[")


def check_directory_name(directory: Path) -> None:
    """Refuse a module directory whose path Kbuild cannot build in (`UsageError`)."""
    if not directory.is_dir():
        raise UsageError(
            f"{directory}: no such directory" if not directory.exists() else f"{directory}: not a directory",
            hint=similar_file(directory) or "name the directory that holds the module's Kbuild file or Makefile",
        )
    for character, word in _UNBUILDABLE.items():
        if character in str(directory):
            raise UsageError(
                f"{directory}: the path contains {word}: Kbuild cannot build there",
                hint="move the module to a path without it: make, the shell or the compiler would take it for syntax",
            )
    check_encoding(str(directory))


def check_pattern(directory: Path) -> None:
    """Refuse a module directory whose path is a pattern that matches another path (`UsageError`).

    Up to 6.12 the path is a target of the top Makefile (build-dir), where make expands patterns: make would build in
    the matching directories.
    """
    if not _PATTERN.isdisjoint(str(directory)):
        found = sorted(glob(str(directory)))  # noqa: PTH207 - an absolute pattern
        if found != [str(directory)]:
            others = ", ".join(name for name in found if name != str(directory)) or "nothing"
            raise UsageError(
                f"{directory}: make takes the path for a pattern, which matches {others}",
                hint="move the module to a path without '*', '?' and '['",
            )


def check_output_name(out: Path) -> None:
    """Refuse an output path that Kbuild's commands cannot write to, or that leads through a file (`UsageError`)."""
    found = next((place for place in (out, *out.parents) if place.exists()), out)
    if not found.is_dir():
        raise UsageError(f"{found}: not a directory, so nothing can be built in {out}", hint="name another directory")
    for character, word in _UNBUILDABLE.items():
        if character in str(out) and character not in ":%":
            raise UsageError(
                f"{out}: the path contains {word}: Kbuild's commands cannot write there",
                hint="name an output directory without it: the shell or the compiler would take it for syntax",
            )
    check_encoding(str(out))


def check_encoding(name: str) -> None:
    """Refuse a name that is not UTF-8: SCons cannot keep it in its database (`UsageError`)."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="surrogateescape").decode(errors="replace")
        raise UsageError(
            f"{shown}: the name is not UTF-8", hint="rename it: SCons' database holds UTF-8 names only"
        ) from error


def has_kbuild_file(directory: Path) -> bool:
    """Whether `directory` has a file that Kbuild reads (scripts/Makefile.build: kbuild-file)."""
    return any((directory / name).is_file() for name in ("Kbuild", "Makefile"))


def check_kbuild_file(directory: Path) -> None:
    """Refuse a directory without a Kbuild file (`UsageError`)."""
    if not has_kbuild_file(directory):
        raise UsageError(
            f"{directory}: no Kbuild file here (neither Kbuild nor Makefile)",
            hint="name the directory whose Kbuild file sets obj-m",
        )
