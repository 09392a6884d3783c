# SPDX-License-Identifier: GPL-2.0-only
"""modpost's command line (scripts/mod/modpost.c: main), which scripts/Makefile.modpost composes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import UsageError


@dataclass(frozen=True)
class ModpostOptions:
    """The options of modpost; the option's letter follows each field.

    5.10 and 5.15 have none of -M, -b, -x, -W, -t and -u, and their makefiles do not pass them.
    """

    external: bool = False  # -e
    """The modules are external ones."""
    symvers: tuple[Path, ...] = ()  # -i
    """The symvers files to read."""
    modules_enabled: bool = False  # -M
    """The kernel has CONFIG_MODULES (since 6.4): read `.export_symbol`."""
    modversions: bool = False  # -m
    """The kernel has CONFIG_MODVERSIONS. Before 6.14 this alone asks for the table of CRCs."""
    basic_versions: bool = False  # -b
    """Write the table `____versions` (since 6.14)."""
    extended_versions: bool = False  # -x
    """Write the tables `____version_ext_crcs` and `____version_ext_names` (since 6.14)."""
    ignore_missing_files: bool = False  # -n
    """Skip a module whose object is missing."""
    all_srcversions: bool = False  # -a
    """Give every module a srcversion, not only those with MODULE_VERSION()."""
    extra_warnings: bool = False  # -W
    """Print additional warnings."""
    warn_unresolved: bool = False  # -w
    """Warn of undefined symbols in place of an error. The user asks for it by KBUILD_MODPOST_WARN; the makefiles of
    5.15 and 6.1 also where a symvers file is missing."""
    mismatch_is_error: bool = False  # -E
    """Section mismatches are an error; up to 5.10 a fatal one."""
    allow_missing_namespaces: bool = False  # -N
    """Warn of a namespace that is not imported in place of an error."""
    namespace_deps: Path | None = None  # -d
    """The file to write for missing namespaces."""
    trim_unused_exports: bool = False  # -t
    """Drop exports that no module uses."""
    unused_exports_white_list: Path | None = None  # -u
    """The file with the names of exports that -t must not drop."""

    @classmethod
    def parse(cls, argv: Sequence[str]) -> ModpostOptions:
        """Parse the words after the program's name as getopt(3) does: letters may be joined, and a value may follow
        its letter (`-iFILE`).

        `-o` and `-T` are accepted and ignored: the caller knows the modules, and writes the result. Raises `UsageError`
        for an unknown option, a missing value, and for an object (`vmlinux.o`): only a build of the kernel passes one.
        """
        flags: set[str] = set()
        symvers: list[Path] = []
        values: dict[str, Path] = {}
        words = list(argv)
        while words:
            word = words.pop(0)
            if word == "--" and not words:
                break
            if not word.startswith("-") or word in ("-", "--"):
                raise UsageError(f"modpost: {word}: objects on the command line belong to a build of the kernel itself")
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if letter in FLAGS:
                    flags.add(letter)
                elif letter in WITH_VALUE:
                    if not letters and not words:
                        raise UsageError(f"modpost: option -{letter} requires an argument")
                    value, letters = Path(letters or words.pop(0)), ""
                    if letter == "i":
                        symvers.append(value)
                    else:
                        values[letter] = value
                else:
                    raise UsageError(
                        f"modpost: unknown option -{letter}", hint="this kernel's modpost may be newer than kbuildpy"
                    )
        return cls(
            symvers=tuple(symvers),
            namespace_deps=values.get("d"),
            unused_exports_white_list=values.get("u"),
            **{name: letter in flags for letter, name in FLAGS.items()},
        )


FLAGS = {
    "e": "external",
    "M": "modules_enabled",
    "m": "modversions",
    "b": "basic_versions",
    "x": "extended_versions",
    "n": "ignore_missing_files",
    "a": "all_srcversions",
    "W": "extra_warnings",
    "w": "warn_unresolved",
    "E": "mismatch_is_error",
    "N": "allow_missing_namespaces",
    "t": "trim_unused_exports",
}
WITH_VALUE = "iTodu"
