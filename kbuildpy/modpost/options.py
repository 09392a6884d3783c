# SPDX-License-Identifier: GPL-2.0-only
"""modpost's command line (scripts/mod/modpost.c: main; scripts/Makefile.modpost puts it together)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.errors import UsageError


@dataclass(frozen=True)
class ModpostOptions:
    """What the tree asks of modpost; the option's letter stands behind each field.

    `extended_versions` and `basic_versions` exist from 6.14 on; before, `modversions` alone asks for the
    table of CRCs. `modules_enabled` exists from 6.4 on. 5.10 and 5.15 know none of these, nor `extra_warnings`,
    `trim_unused_exports` and its white list; their makefiles do not ask for them. `warn_unresolved` is the user's
    wish (KBUILD_MODPOST_WARN); 5.15 and 6.1 ask for it themselves where a symvers file is missing.
    `mismatch_is_error` means a fatal error up to 5.10, a plain one later.
    """

    external: bool = False  # -e
    symvers: tuple[Path, ...] = ()  # -i
    modules_enabled: bool = False  # -M
    modversions: bool = False  # -m
    basic_versions: bool = False  # -b
    extended_versions: bool = False  # -x
    ignore_missing_files: bool = False  # -n
    all_srcversions: bool = False  # -a
    extra_warnings: bool = False  # -W
    warn_unresolved: bool = False  # -w
    mismatch_is_error: bool = False  # -E
    allow_missing_namespaces: bool = False  # -N
    namespace_deps: Path | None = None  # -d
    trim_unused_exports: bool = False  # -t
    unused_exports_white_list: Path | None = None  # -u

    @classmethod
    def parse(cls, argv: Sequence[str]) -> ModpostOptions:
        """Read the words after the program's name, as getopt(3) does: letters may be joined, `-iFILE` too.

        `-o` and `-T` are accepted and ignored: where the result goes, and which modules there are, is the
        caller's affair. Objects named directly (`vmlinux.o`) are how the kernel itself is built: refused.
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
