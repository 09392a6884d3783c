# SPDX-License-Identifier: GPL-2.0-only
"""The flags of a declared module: those of its construction environment, and over them those of the call.

The compiler gets the flags that SCons' own builder of C objects (`$CCCOM`, `$ASPPCOM`) would give it, word for word,
after the tree's own. The names of programs are another thing (`variables`).
"""

from __future__ import annotations

import os
import shlex
from collections import UserList, deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import SCons.Node.FS
import SCons.PathList
import SCons.Util

from kbuildpy.errors import UsageError
from kbuildpy.scons.variables import FLAG_NAMES


class Flags(NamedTuple):
    """Words for the compiler of C, for the assembler's preprocessor and for the linker of one module."""

    compile: tuple[str, ...]
    assemble: tuple[str, ...]
    link: tuple[str, ...]


def flags_of(env: Any, given: Mapping[str, Any]) -> Flags:
    """The flags that the construction environment `env` and the keywords `given` have for a module's objects.

    A keyword takes the place of the variable, and may refer to it (`CCFLAGS="$CCFLAGS -DMORE"`). Raises `UsageError`
    for a value that is not a flag.
    """
    # (the prefixes come with SCons' own compilers, which a project of modules does not load)
    prefixes = {name: env.get(name, value) for name, value in (("CPPDEFPREFIX", "-D"), ("CPPDEFSUFFIX", ""))}
    named = {name: env[name] for name in FLAG_NAMES if name in env} | {
        name: value for name, value in given.items() if name in FLAG_NAMES and value is not None
    }
    own = env.Override({**prefixes, **{name: _plain(value, name) for name, value in named.items()}})
    preprocess = [*_words(own, "$CPPFLAGS $_CPPDEFFLAGS"), *_include_words(own)]
    return Flags(
        compile=(*_words(own, "$CFLAGS $CCFLAGS"), *preprocess),
        assemble=(*_words(own, "$ASPPFLAGS" if "ASPPFLAGS" in own else "$ASFLAGS"), *preprocess),
        link=tuple(_words(own, "$LINKFLAGS")),
    )


def _plain(value: Any, name: str) -> Any:
    """`value` of the variable `name` with paths as strings. The compiler runs elsewhere: nodes are named in full."""
    if isinstance(value, (list, tuple, deque, UserList)):
        return type(value)([_plain(item, name) for item in value])
    if isinstance(value, SCons.Node.FS.Base):
        return value if name == "CPPPATH" else _absolute(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _absolute(node: Any) -> str:
    return str((node if node.is_derived() else node.srcnode()).get_abspath())


def _words(env: Any, variables: str) -> list[str]:
    """The words of `variables` on a command line of SCons', as a shell finds them."""
    text = ""
    try:
        for line in env.subst_list(variables):
            text += " ".join(word.escape(shlex.quote) if hasattr(word, "escape") else str(word) for word in line) + " "
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(
            f"{variables}: {text.strip()}: {error}", hint='a quotation mark for C is written \\\\"'
        ) from error


def _include_words(env: Any) -> list[str]:
    value = env.get("CPPPATH")
    # (as SCons' _concat() does it for _CPPINCFLAGS)
    paths = SCons.PathList.PathList(value).subst_path(env, None, None) if value is not None else ()
    found = []
    for path in SCons.Util.flatten(paths):
        if path in ("", None):
            continue
        try:
            node = path if isinstance(path, SCons.Node.FS.Dir) else env.fs.Dir(path)
        except (TypeError, AttributeError) as mismatch:
            raise UsageError(
                f"CPPPATH: {str(path)!r} is no directory", hint="name directories, as nodes or paths"
            ) from mismatch
        found.append(f"-I{node.srcnode().get_abspath()}")
        if node.srcnode() is not node:
            found.append(f"-I{node.get_abspath()}")
    return found
