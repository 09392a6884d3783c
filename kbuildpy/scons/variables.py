# SPDX-License-Identifier: GPL-2.0-only
"""Which variables of an SCons build are Kbuild's.

On `scons`'s command line they are spelled as on make's (`scons V=1 KCFLAGS=-g`), and reach make the same way.
"""

from __future__ import annotations

import functools
import os
import re
from collections import UserList
from collections.abc import Mapping
from typing import Any

from kbuildpy.errors import UsageError
from kbuildpy.pin import PIN_VARIABLE

# The variables that Documentation/kbuild/kbuild.rst and the top Makefile tell users to set.
_KBUILD_NAMES = re.compile(
    r"^(ARCH|CROSS_COMPILE|LLVM|LLVM_IAS|V|W|C|CF|CHECK|KCFLAGS|KCPPFLAGS|KAFLAGS|KRUSTFLAGS|CFLAGS_MODULE|AFLAGS_MODULE"
    r"|RUSTFLAGS_MODULE|RUSTC|RUSTDOC|RUSTFMT|CLIPPY_DRIVER|BINDGEN|HOSTRUSTC|CLIPPY"
    r"|LDFLAGS_MODULE|CC|LD|AR|NM|STRIP|OBJCOPY|OBJDUMP|READELF|PAHOLE|HOSTCC|HOSTCFLAGS|HOSTLDFLAGS|HOSTLDLIBS"
    r"|DEBUG|EXTRA_CFLAGS|EXTRA_AFLAGS|EXTRA_LDFLAGS|NOSTDINC_FLAGS|(KBUILD|CONFIG|INSTALL_MOD)_[A-Za-z0-9_]+)$"
)
# These variables choose the tree or the output directory, and are not passed on to make.
_OURS = frozenset(
    {
        *("KDIR", "KERNELRELEASE", "M", "MO", "O", "KBUILD_OUT", "KBUILD_OUTPUT", "KBUILD_EXTMOD"),
        *("KBUILD_EXTMOD_OUTPUT", "KBUILD_TRACE"),
    }
)

# Variables that need no search of the makefiles.
KNOWN_NAMES = frozenset(
    re.findall(
        r"\w+",
        """
        KDIR KERNELRELEASE KBUILD_OUT KBUILD_TRACE
        ARCH CROSS_COMPILE LLVM LLVM_IAS V W C CF CHECK KCFLAGS KCPPFLAGS KAFLAGS
        RUSTFLAGS_MODULE RUSTC RUSTDOC RUSTFMT CLIPPY_DRIVER BINDGEN HOSTRUSTC CLIPPY
        KRUSTFLAGS CFLAGS_MODULE AFLAGS_MODULE LDFLAGS_MODULE CC LD AR NM STRIP OBJCOPY OBJDUMP READELF PAHOLE HOSTCC
        HOSTCFLAGS HOSTLDFLAGS HOSTLDLIBS KBUILD_EXTRA_SYMBOLS KBUILD_MODPOST_WARN KBUILD_MODPOST_NOFINAL
        KBUILD_SIGN_PIN KBUILD_BUILD_TIMESTAMP BTF_THREADS FAST COVERAGE INSTALL_MOD_PATH INSTALL_MOD_DIR
        INSTALL_MOD_STRIP
        """,
    )
)
# These variables name directories, which are arguments of the call.
SET_BY_US = _OURS - KNOWN_NAMES

# These variables say how we build, and are not passed on to make.
NOT_FOR_MAKE = ("BTF_THREADS", "COVERAGE", "FAST")

# What SCons' tools for this system choose by themselves: programs for programs, and no wish of a user's.
_TOOL_CHOICES = {"CC": ("gcc", "cc"), "AR": ("ar",)}
_TOOLS = frozenset({"cc", "gcc", "ar"})


# Variables of SCons' that hold flags of a module's objects (`flags`).
FLAG_NAMES = (
    "CCFLAGS",
    "CFLAGS",
    "CPPFLAGS",
    "CPPPATH",
    "CPPDEFINES",
    "ASFLAGS",
    "ASPPFLAGS",
    "LINKFLAGS",
    "parse_flags",
)


def has_flags(env: Any, given: Mapping[str, Any]) -> bool:
    """Whether the environment or the keywords `given` hold any flags."""
    if not given.keys().isdisjoint(FLAG_NAMES):
        return True
    return any(env.get(name) not in (None, "", [], "$ASFLAGS") for name in FLAG_NAMES)


def chooses_kernel(name: str) -> bool:
    """Whether `name` is a variable that says which kernel is meant, or how its tree is asked."""
    return name in ("KDIR", "KERNELRELEASE") or (name not in _OURS and bool(_KBUILD_NAMES.match(name)))


class _OfTool(str):
    """The name of a program that a tool of SCons' chose, for programs."""

    __slots__ = ()


def mark_tool_choices(env: Any) -> None:
    """Remember which programs in `env` SCons' own tools chose so far: later values are the user's."""
    for name, names in _TOOL_CHOICES.items():
        if env.get(name) in names:
            env[name] = _OfTool(env[name])
    env["KBUILDPY_TOOLS"] = list(env.get("TOOLS", ()))


def environment_variables(env: Any) -> dict[str, Any]:
    """Kbuild's variables among those of a construction environment, without what SCons' own tools put there."""
    names = _kbuild_names(frozenset(env.Dictionary()))
    found = {name: _substituted(env, env[name]) for name in names if not _is_tool_choice(env, name)}
    return {name: value for name, value in found.items() if value is not None}


@functools.lru_cache(maxsize=8)
def _kbuild_names(names: frozenset[str]) -> list[str]:
    """Those of `names` that are Kbuild's: the same in every environment of most projects, and asked for each module."""
    return sorted(name for name in names if _KBUILD_NAMES.match(name) and name not in _OURS)


def _is_tool_choice(env: Any, name: str) -> bool:
    value = env[name]
    if isinstance(value, _OfTool):
        return True
    # A tool that came after ours may have chosen it.
    later = set(env.get("TOOLS", ())) - set(env.get("KBUILDPY_TOOLS", ()))
    return isinstance(value, str) and value in _TOOL_CHOICES.get(name, ()) and not later.isdisjoint(_TOOLS)


def _substituted(env: Any, value: Any) -> Any:
    """`value` with SCons' variables replaced; make's own (`$(src)`) are left to make."""
    if isinstance(value, (list, tuple, UserList)):
        return [_substituted(env, item) for item in value]
    return env.subst(value) if isinstance(value, str) and "$" in value and "$(" not in value else value


def is_kbuild_name(name: str) -> bool:
    """Whether a variable on scons's command line reaches make."""
    return name not in _OURS and bool(_KBUILD_NAMES.match(name))


def make_variables(arguments: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """The variables for make: those of `arguments` (an environment's, or scons's command line) that are Kbuild's, and
    all `given`. Raises `UsageError` for a passphrase among them: they are written down in notes and proofs."""
    if PIN_VARIABLE in arguments or PIN_VARIABLE in given:
        raise UsageError(
            f"{PIN_VARIABLE}= on a command line or in an SConstruct: others can read it there",
            hint=f"export {PIN_VARIABLE} in the environment instead",
        )
    chosen = {name: text_of(value) for name, value in arguments.items() if _KBUILD_NAMES.match(name)}
    chosen.update({name: text_of(value) for name, value in given.items() if value is not None})
    return {name: value for name, value in chosen.items() if name not in _OURS}


def text_of(value: Any) -> str:
    """The value of a variable as make gets it: words of a list with spaces between them, a node by its full path."""
    if isinstance(value, (list, tuple, UserList)):
        return " ".join(map(text_of, value))
    if hasattr(value, "srcnode"):
        return str((value if value.is_derived() else value.srcnode()).get_abspath())
    return str(int(value)) if isinstance(value, bool) else str(value)


def build_environment(env: Any, default: Mapping[str, str]) -> dict[str, str]:
    """The environment for make and the compiler: ours, with the user's changes in `env['ENV']`.

    SCons starts programs in an environment of its own making (`default`); Kbuild's users expect theirs.
    """
    merged = dict(os.environ)
    for name, value in env["ENV"].items():
        if default.get(name) != value:
            merged[name] = str(value)
    return merged
