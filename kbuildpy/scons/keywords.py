# SPDX-License-Identifier: GPL-2.0-only
"""Checks the keywords of a declaration while the SConstruct is read.

A keyword that is not known is refused: a misspelt one would silently weaken a check that guards a release. Every error
names the declaration.
"""

from __future__ import annotations

import os
from collections import UserList
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import SCons.Node.FS
import SCons.Util

from kbuildpy.errors import UsageError
from kbuildpy.kernel.module_files import module_name
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.variables import chooses_kernel
from kbuildpy.signing.key_name import is_pkcs11_uri
from kbuildpy.similar import did_you_mean, similar_file


def check_names(call: str, builder: Callable[..., Any], variables: Iterable[str]) -> None:
    """Refuse a keyword that `builder` does not have, and that is no variable that chooses the kernel (`UsageError`)."""
    for name in variables:
        if not chooses_kernel(name):
            also = "variables that choose the kernel: KDIR, KERNELRELEASE, and Kbuild's, as ARCH and CROSS_COMPILE"
            raise _unknown(call, name, builder, also)


def check_make_names(call: str, builder: Callable[..., Any], variables: Iterable[str]) -> None:
    """Refuse a keyword that `builder` does not have, and that is not written as variables for make are, without
    lower-case letters (`UsageError`)."""
    for name in variables:
        if not chooses_kernel(name) and name != name.upper():
            raise _unknown(call, name, builder, "variables for make, in upper case, as INSTALL_MOD_DIR")


def _unknown(call: str, name: str, builder: Callable[..., Any], also: str) -> UsageError:
    known = builder.__kwdefaults__ or {}
    meant = did_you_mean(name, known)
    asked = f"; {meant}" if meant else ""
    hint = f"the keywords are {', '.join(known)}; and {also}"
    return UsageError(f"{call}: there is no keyword {name}{asked}", hint=hint)


def given_modules(call: str, modules: Any, source: Any, *, example: str) -> Any:
    """The modules of a declaration: `modules`, or by SCons' word for it `source`. Raises `UsageError` for
    neither and for both."""
    if modules is not None and source is not None:
        raise UsageError(f"{call}: modules are named twice, by modules and by source=", hint="name them once")
    if modules is None and source is None:
        raise UsageError(f"{call}: no modules", hint=f"name them: {example}")
    return source if modules is None else modules


def file_nodes(env: Any, call: str, value: Any) -> list[Any]:
    """The nodes of `value`: a node or the name of a file, or a list of them. Raises `UsageError` for anything else."""
    nodes: list[Any] = []
    for item in SCons.Util.flatten(value) if value else ():
        try:
            found = env.arg2nodes([os.fspath(item) if isinstance(item, os.PathLike) else item], env.fs.File)
        except TypeError:
            # (the name of a directory)
            found = [item]
        if not all(_is_file(node) for node in found):
            raise UsageError(f"{call}: {str(item)!r} is not a file", hint="name files, as nodes or paths")
        nodes += found
    return nodes


def _is_file(node: Any) -> bool:
    return isinstance(node, SCons.Node.FS.Base) and not isinstance(node, SCons.Node.FS.Dir)


def directory_path(env: Any, value: Any, *, typed: bool, call: str) -> str:
    """The path of the directory `value`: a node or a name, relative to the SConscript file that has it, or, if it was
    `typed` (on the command line, in the environment), to where scons was started. Raises `UsageError`."""
    if typed:
        return os.path.join(env.GetLaunchDir(), str(value))  # noqa: PTH118 - "" at the end stays
    try:
        return str(env.Dir(os.fspath(value) if isinstance(value, os.PathLike) else value).get_abspath())
    except (TypeError, AttributeError) as mismatch:
        raise UsageError(f"{call}: {value} is no directory", hint="name one, as a node or a path") from mismatch


def certificate_nodes(env: Any, call: str, value: Any) -> list[Any]:
    """The nodes of the files that `cert=` names: one, or a list. Raises `UsageError` for one that is not there, and
    that nothing makes so far."""
    found = []
    for node in file_nodes(env, f"{call}: cert", value):
        source = node if node.is_derived() else node.srcnode()
        if not node.is_derived() and not os.path.isfile(source.get_abspath()):  # noqa: PTH113 - a path of SCons'
            hint = similar_file(source.get_abspath())
            hint = hint or "name files with certificates (PEM or DER); declare the builder of a generated one first"
            raise UsageError(f"{call}: cert={str(source)!r}: there is no such file", hint=hint)
        found.append(source)
    return found


def key_path(env: Any, call: str, name: str, value: Any) -> str:
    """The path of a key or certificate that a declaration names, as SCons finds it; a `pkcs11:` URI stays one, and
    nothing stays nothing. Raises `UsageError` for a value that is not the name of a file."""
    if isinstance(value, (list, tuple, UserList)) and len(value) == 1:  # (as builders return what they make)
        (value,) = value
    if isinstance(value, SCons.Node.FS.Base):
        # (not every version's nodes are os.PathLike)
        return str((value if value.is_derived() else value.srcnode()).get_abspath())
    path = text(call, name, os.fspath(value) if isinstance(value, os.PathLike) else value or "")
    if not path or is_pkcs11_uri(path):
        return path
    try:
        return str(env.File(path).srcnode().get_abspath())
    except TypeError as mismatch:
        raise UsageError(f"{call}: {name}={path!r} is no file", hint="name one, as a node or a path") from mismatch


def made_keys(env: Any, names: Iterable[str]) -> list[Any]:
    """The nodes of those of `names` (of keys and certificates) that the build makes."""
    paths = [name for name in names if name and not is_pkcs11_uri(name)]
    return [node for node in (file_node(env, path) for path in paths) if node.is_derived()]


def text(call: str, name: str, value: Any) -> str:
    """`value`, if it is a string that bytes can be made of (`UsageError`)."""
    if isinstance(value, str):
        try:
            value.encode(errors="surrogateescape")
        except UnicodeEncodeError:
            pass
        else:
            return value
    raise UsageError(f"{call}: {name}={value!r} is not a string")


def texts(call: str, name: str, value: Any) -> tuple[str, ...]:
    """The strings in `value`: one, or a list (`UsageError`)."""
    items = value if isinstance(value, (list, tuple)) else [value] if value else []
    return tuple(text(call, name, item) for item in items)


def flag(call: str, name: str, value: Any) -> bool:
    """`value`, if it is True or False (`UsageError`): a string such as "0" would be taken for either."""
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise UsageError(f"{call}: {name}={value!r} is neither True nor False")


def whole_number(call: str, name: str, value: Any, *, least: int, why: str) -> int:
    """`value`, if it is a number that is not below `least`; `why` says that in words (`UsageError`)."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{call}: {name}={value!r}: {why}")
    return value


def parameters_by_module(call: str, params: Any, nodes: Sequence[Any]) -> dict[str, str]:
    """The parameters of each module among `nodes`, by its name: a string is for all of them, a mapping says whose
    they are. Raises `UsageError` for a value that is neither, and for a name that no module has."""
    names = list(dict.fromkeys(module_name(node.name) for node in nodes))
    if isinstance(params, str):
        return dict.fromkeys(names, text(call, "params", params))
    if not isinstance(params, Mapping):
        hint = "as insmod takes them: params='debug=3', or by module: params={'NAME': 'debug=3'}"
        raise UsageError(f"{call}: params={params!r} is neither a string nor a mapping", hint=hint)
    found = dict.fromkeys(names, "")
    for key, words in params.items():
        name = str(key).replace("-", "_")
        if name not in found:
            raise UsageError(f"{call}: params of {key}, which is not among the modules ({', '.join(names)})")
        found[name] = text(call, f"params of {key}", words)
    return found
