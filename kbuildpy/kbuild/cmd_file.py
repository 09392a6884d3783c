# SPDX-License-Identifier: GPL-2.0-only
"""The `.NAME.o.cmd` file that Kbuild writes beside a compiled object: the command, and the files the compiler read.

The counterpart is scripts/basic/fixdep.c: it reads the compiler's depfile, leaves autoconf.h out, and names
each CONFIG_ symbol that the sources mention instead, so that a changed configuration rebuilds only the objects that
mention a changed symbol. kbuildpy writes the same format, so that the kernel's own scripts can read it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kbuild.normal_path import normal_path

_CONFIG = re.compile(rb"(?<![A-Za-z0-9_])CONFIG_([A-Za-z0-9_]+)")
_CONFIG_PATH = re.compile(r"include/config/([A-Za-z0-9_]+)\)")
_COMMENT = re.compile(r"^#.*$", re.MULTILINE)
# Binary files in a depfile of rustc, in which nobody mentions a symbol (fixdep.c: is_no_parse_file).
_BINARY = (".rlib", ".rmeta", ".so")
NOT_A_DEPENDENCY = ("include/generated/autoconf.h", "include/generated/autoksyms.h")


class CmdFile(NamedTuple):
    """What an object was made from, as its `.cmd` file says."""

    source: str
    """The source, as the compiler names it."""
    headers: tuple[str, ...]
    """The headers, as the compiler names them."""
    symbols: frozenset[str]
    """The CONFIG_ symbols (without the prefix) that those files mention."""
    contents: str = ""
    """A digest of the contents of the module's own files. With it the `.cmd` file changes whenever they do, also where
    the object stays the same, because the srcversion of the module may change."""


def read_depfile(text: str, *, repeats: bool = False) -> tuple[str, list[str]]:
    """The source and the headers that a compiler's depfile names, without autoconf.h; ("", []) for an empty one.

    GCC names a header once for each way that it was found (`"x.h"`, and `<x.h>` by -I). With `repeats` the list keeps
    the repetitions, as fixdep does up to 6.2; else it names each header once, as fixdep does since 6.3. rustc writes
    one list for each kind of output, each of which begins with the source, and comments.
    """
    if "\n#" in text:
        text = _COMMENT.sub("", text)
    words = text.replace("\\\n", " ").replace("\\ ", "\0").split()
    lists: list[list[str]] = [[]]
    for word in words:
        if word.endswith(":"):
            lists.append([])
        else:
            lists[-1].append(word.replace("\0", " ").replace("$$", "$").replace("\\#", "#"))
    first, *more = [names for names in lists if names] or [[]]
    if not first:
        return "", []
    names = [*first, *(name for each in more for name in each[1:])]
    others = names[1:] if repeats else dict.fromkeys(names[1:])
    headers = [name for name in others if not name.endswith(NOT_A_DEPENDENCY)]
    return names[0], headers


def mentioned_symbols(content: bytes) -> frozenset[str]:
    """The CONFIG_ symbols in a source text, without prefix and without `_MODULE` (fixdep.c: parse_config_file)."""
    names = set()
    for match in _CONFIG.findall(content):
        name = match.decode("ascii")
        names.add(name[: -len("_MODULE")] if name.endswith("_MODULE") else name)
    names.discard("")
    return frozenset(names)


def cmd_path_of(object_file: Path) -> Path:
    """The path of the `.cmd` file of an object, in the object's directory."""
    return object_file.with_name(f".{object_file.name}.cmd")


def depfile_of(object_file: Path) -> Path:
    """The path of the compiler's depfile (scripts/Kbuild.include: depfile). Commas become underscores, because a comma
    ends the argument of `-Wp,`."""
    return object_file.with_name(f".{object_file.name.replace(',', '_')}.d")


def cmd_file_of(
    depfile: Path,
    *,
    cwd: str,
    symbols_of: Callable[[str], Iterable[str]],
    is_own: Callable[[str], bool],
    find: Callable[[str], str] = str,
    besides: Iterable[str] = (),
    without: str = "",
    source: str = "",
    repeats: bool = False,
) -> CmdFile:
    """The `.cmd` file of the object whose compilation wrote `depfile`.

    `cwd` is the directory that names in `depfile` are relative to. `symbols_of` returns the CONFIG_ symbols that a file
    mentions, `is_own` says whether a file belongs to the module, `find` returns the file that the compiler found at a
    path. `besides` are the headers that were precompiled; the precompiled file lies in the folder `without`, and is
    left out. `source` replaces the source of the depfile where the compiler read a copy of it. `repeats` is as for
    `read_depfile`. Raises OSError for a depfile that cannot be read.
    """
    read, headers = read_depfile(depfile.read_text(errors="surrogateescape"), repeats=repeats)
    source = source or read
    if besides:
        # the depfile names the precompiled file, whose headers are in `besides`
        headers = [name for name in dict.fromkeys([*headers, *besides]) if not (without and name.startswith(without))]
    symbols: set[str] = set()
    for name in (source, *(name for name in headers if not name.endswith(_BINARY))):
        symbols.update(symbols_of(find(normal_path(cwd, name))))
    contents = own_contents(source, headers, cwd=cwd, is_own=is_own, find=find)
    return CmdFile(source, tuple(headers), frozenset(symbols), contents)


def own_contents(
    source: str,
    headers: Iterable[str],
    *,
    cwd: str,
    is_own: Callable[[str], bool],
    find: Callable[[str], str] = str,
) -> str:
    """A digest of the contents of `source` and of those of its `headers` that are the module's own (`is_own`) or lie
    beside it, as those that srcversion is made of; names are relative to `cwd`, and `find` returns the file that the
    compiler found at a path. A file that cannot be read counts as empty."""
    from hashlib import sha256  # (slow)

    found = sha256()
    folder = os.path.dirname(normal_path(cwd, source))  # noqa: PTH120
    for name in (source, *headers):
        path = normal_path(cwd, name)
        if name == source or is_own(path) or os.path.dirname(path) == folder:  # noqa: PTH120
            try:
                content = Path(find(path)).read_bytes()
            except OSError:
                content = b""
            # (relative names: the digest is the same in another checkout)
            below = os.path.relpath(path, folder)
            found.update(f"{below} {len(content)}\n".encode(errors="surrogateescape"))
            found.update(content)
    return found.hexdigest()[:32]


def format_cmd_file(cmd_file: CmdFile, *, target: str, command: str) -> str:
    """The text of the `.cmd` file of `target`, in fixdep's format."""
    saved = command.strip().replace("$", "$$").replace("#", "$(pound)")
    lines = [f"savedcmd_{target} := {saved}", "", f"source_{target} := {cmd_file.source}", "", f"deps_{target} := \\"]
    lines += [f"    $(wildcard include/config/{name}) \\" for name in sorted(cmd_file.symbols)]
    lines += [f"  {name} \\" for name in cmd_file.headers]
    lines += ["", f"{target}: $(deps_{target})", "", f"$(deps_{target}):", "", f"#CONTENTS {cmd_file.contents}", ""]
    return "\n".join(lines)


def saved_command(text: str) -> str:
    """The command in the text of a `.cmd` file that kbuildpy wrote; "" if there is none."""
    line = text.partition("\n")[0]
    saved = line.partition(" := ")[2] if line.startswith("savedcmd_") else ""
    return saved.replace("$(pound)", "#").replace("$$", "$")


def parse_cmd_file(text: str) -> CmdFile:
    """The inverse of `format_cmd_file`, for files that kbuildpy wrote."""
    source, headers, symbols, contents, inside = "", [], set(), "", False
    for line in text.splitlines():
        if inside:
            if not line.endswith("\\"):
                inside = False
                continue
            name = line[:-1].strip()
            found = _CONFIG_PATH.search(name)
            if found:
                symbols.add(found.group(1))
            elif name:
                headers.append(name)
        elif line.startswith("source_"):
            source = line.partition(" := ")[2]
        elif line.startswith("deps_"):
            inside = True
        elif line.startswith("#CONTENTS "):
            contents = line.partition(" ")[2]
    return CmdFile(source, tuple(headers), frozenset(symbols), contents)
