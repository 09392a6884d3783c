# SPDX-License-Identifier: GPL-2.0-only
"""Single targets: one file that Kbuild makes of a source, or one module, asked for by name (`make M=DIR x.i`).

The counterparts are `single-targets` of the top Makefile, and the rules of scripts/Makefile.build that its endings
stand for. `x.mod.c`, which modpost writes, is none of make's.
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
}
"""Endings of what is made of one source, and what each is."""
_OF_MODULES = (".ko", ".mod.c")
# GNU make's words for a goal; a prerequisite has "needed by" behind it.
_NO_RULE = re.compile(r"No rule to make target '([^']*)'\.\s+Stop")


def is_single_target(word: str) -> bool:
    """Whether `word` has the form of a single target: an ending of one, or of a directory (`/`)."""
    name = os.path.basename(word.rstrip("/"))  # noqa: PTH119
    if word.endswith("/"):
        return name not in ("", ".", "..")
    return is_of_module(word) or any(name.endswith(ending) and name != ending for ending in _OF_SOURCES)


def is_of_module(word: str) -> bool:
    """Whether `word` names what is made of a whole module, after modpost."""
    name = os.path.basename(word)  # noqa: PTH119
    return any(name.endswith(ending) and name != ending for ending in _OF_MODULES)


def module_of(word: str) -> str:
    """The module of a target `is_of_module`, below the directory: `sub/drv` of `sub/drv.mod.c`."""
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
    """The goals for make: `targets`, and after each that is made of a source, the object of that source.

    What a Kbuild file says about an object (`$(obj)/x.o: $(obj)/table.h`) holds for its other forms too: else a header
    that a rule makes would be missing.
    """
    found: dict[str, None] = dict.fromkeys(targets)
    for name in targets:
        ending = os.path.splitext(name)[1]  # noqa: PTH122
        if ending in _OF_SOURCES:
            found[name.removesuffix(ending) + ".o"] = None
    return list(found)


def no_rule(directory: Path, stderr: str, *, base: str) -> UsageError | None:
    """The error for a goal that make has no rule for, by its words in `stderr`; None where it said something else.
    `base` is the directory that make's names are relative to."""
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
        sources = [path.name for path in folder.iterdir() if path.suffix in (".c", ".S")]
    except OSError:
        return f"there is no directory {folder}"
    wanted = os.path.basename(stem)  # noqa: PTH119
    similar = did_you_mean(f"{wanted}{ending}", [f"{Path(source).stem}{ending}" for source in sources])
    return similar or f"is {stem}.c missing? The sources here: {', '.join(sorted(sources)) or 'none'}"
