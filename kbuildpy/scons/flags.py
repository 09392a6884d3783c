"""The flags of a declared module: those of its construction environment, and over them those of the call.

What the compiler is given is what SCons' own builder of C objects (`$CCCOM`, `$ASPPCOM`) would give it, word for word,
after the tree's own flags. The names of programs are another thing (`variables`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

import SCons.Node.FS
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
    for what is no flag.
    """
    # (the prefixes come with SCons' own compilers, which a project of modules does not load)
    prefixes = {name: env.get(name, value) for name, value in (("CPPDEFPREFIX", "-D"), ("CPPDEFSUFFIX", ""))}
    keywords = {name: _plain(value) for name, value in given.items() if name in FLAG_NAMES and value is not None}
    own = env.Override({**prefixes, **keywords})
    preprocess = [*_words(own, "$CPPFLAGS $_CPPDEFFLAGS"), *_include_words(own)]
    return Flags(
        compile=(*_words(own, "$CFLAGS $CCFLAGS"), *preprocess),
        assemble=(*_words(own, "$ASPPFLAGS" if "ASPPFLAGS" in own else "$ASFLAGS"), *preprocess),
        link=tuple(_words(own, "$LINKFLAGS")),
    )


def _plain(value: Any) -> Any:
    """`value` with paths as strings."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    is_path = isinstance(value, os.PathLike) and not isinstance(value, SCons.Node.FS.Base)
    return os.fspath(value) if is_path else value


def _words(env: Any, variables: str) -> list[str]:
    """What a shell makes of `variables` on a command line of SCons'."""
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
    value = env.get("CPPPATH", [])
    names = value.split(os.pathsep) if isinstance(value, str) else SCons.Util.flatten(value)
    found = []
    for item in names:
        for node in env.arg2nodes([item], env.fs.Dir):
            if not isinstance(node, SCons.Node.FS.Dir):
                raise UsageError(f"CPPPATH: {str(node)!r} is no directory", hint="name directories, as nodes or paths")
            found.append(f"-I{node.srcnode().get_abspath()}")
            if node.srcnode() is not node:
                found.append(f"-I{node.get_abspath()}")
    return found
