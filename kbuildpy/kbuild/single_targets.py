# SPDX-License-Identifier: GPL-2.0-only
"""Single targets: one file that Kbuild makes from a source, or one module, asked for by name (`make M=DIR x.i`).

The counterparts are `single-targets` of the top Makefile, and the rules of scripts/Makefile.build for its suffixes.
make has no target `x.mod.c`, which modpost writes; kbuildpy has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.similar import did_you_mean

_OF_SOURCES = {
    ".o": "compiled",
    ".i": "preprocessed",
    ".s": "as assembly",
    ".lst": "as assembly with the lines of its source",
    ".ll": "as clang's intermediate code",
    ".symtypes": "the types of its symbols, for their CRCs",
    ".rsi": "Rust with its macros expanded",
}
"""Suffixes of the files that are made from one source, and what each is."""
_OF_MODULES = (".ko", ".mod.c")
# GNU make's message about a goal; about a prerequisite, "needed by" follows the name.
_NO_RULE = re.compile(r"No rule to make target '([^']*)'\.\s+Stop")


def is_single_target(word: str) -> bool:
    """Whether `word` has the form of a single target: it ends in the suffix of one, or in `/` (all modules of a
    directory)."""
    name = os.path.basename(word.rstrip("/"))  # noqa: PTH119
    if word.endswith("/"):
        return name not in ("", ".", "..")
    return is_of_module(word) or any(name.endswith(ending) and name != ending for ending in _OF_SOURCES)


def is_of_module(word: str) -> bool:
    """Whether `word` names a file that is made from a whole module (`.ko`, `.mod.c`)."""
    name = os.path.basename(word)  # noqa: PTH119
    return any(name.endswith(ending) and name != ending for ending in _OF_MODULES)


def module_of(word: str) -> str:
    """The name of the module, below the directory, for a target `is_of_module`: `sub/drv` for `sub/drv.mod.c`."""
    return next(word.removesuffix(ending) for ending in _OF_MODULES if word.endswith(ending))


def target_below(directory: Path, word: str, *, base: Path) -> str:
    """The target `word` as a path below `directory`, where it is relative to `base`; a slash at the end stays.

    Raises `UsageError` for a path outside of `directory`.
    """
    path = os.path.normpath(base / word)
    if not path.startswith(f"{directory}/"):
        raise UsageError(f"{word}: not below {directory}", hint="a target is a path below the module directory")
    return os.path.relpath(path, directory) + ("/" if word.endswith("/") else "")


def goals_for(targets: Sequence[str]) -> list[str]:
    """The goals for make: `targets`, and the object of each source that a target is made from.

    A Kbuild file names prerequisites only for the object (`$(obj)/x.o: $(obj)/table.h`). Without the object as a goal,
    make would not make such a header for `x.i`.
    """
    found: dict[str, None] = dict.fromkeys(targets)
    for name in targets:
        ending = os.path.splitext(name)[1]  # noqa: PTH122
        if ending in _OF_SOURCES:
            found[name.removesuffix(ending) + ".o"] = None
    return list(found)


def no_rule(directory: Path, stderr: str, *, base: str) -> UsageError | None:
    """The error for a goal that make has no rule for, from make's message in `stderr`; None for another message.
    Names in the message are relative to the directory `base`."""
    match = _NO_RULE.search(stderr)
    if not match:
        return None
    name = os.path.relpath(os.path.normpath(Path(base, match[1])), directory) + ("/" if match[1].endswith("/") else "")
    return UsageError(f"{name}: nothing in {directory} says how to make it", hint=_hint(directory, name))


def _hint(directory: Path, name: str) -> str:
    if name.endswith("/"):
        return f"the Kbuild file does not descend into {name}"
    stem, ending = os.path.splitext(name)  # noqa: PTH122
    if ending not in (".o", ".s") and Path(directory, f"{stem}.S").is_file():
        return f"{stem}.S is assembly: of that there are {stem}.o and {stem}.s (after the preprocessor)"
    if Path(directory, f"{stem}.c").is_file():
        return f"the Kbuild file does not list {stem}.o, and this kernel's Kbuild makes nothing else"
    folder = Path(directory, stem).parent
    try:
        sources = [path.name for path in folder.iterdir() if path.suffix in (".c", ".S", ".rs")]
    except OSError:
        return f"there is no directory {folder}"
    wanted = os.path.basename(stem)  # noqa: PTH119
    similar = did_you_mean(f"{wanted}{ending}", [f"{Path(source).stem}{ending}" for source in sources])
    return similar or f"is {stem}.c missing? The sources here: {', '.join(sorted(sources)) or 'none'}"
