# SPDX-License-Identifier: GPL-2.0-only
"""Finds the module's own headers that an object includes, in its `.cmd` file or in the sources.

`freshness` handles kernel headers; the module's own headers are nodes of SCons' graph. The `.cmd` file of an object
names them. Before it exists, the sources are searched for `#include`, so that SCons makes generated headers before the
object, and finds the right object in a shared cache.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from kbuildpy.kbuild.normal_path import normal_path

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE)
# Other files of a crate in Rust: `mod name;`, with or without a path, `include!("name")` and its kin.
_RUST_MODULE = re.compile(
    rb'(?:#\[path\s*=\s*"([^"\n]+)"\]\s*)?^[ \t]*(?:pub(?:\([^)\n]*\))?[ \t]+)?mod[ \t]+(?:r#)?(\w+)[ \t]*;',
    re.MULTILINE,
)
_RUST_INCLUDE = re.compile(rb'\binclude(?:_str|_bytes)?![(\[{]\s*"([^"\n]+)"')
# The options that name folders, in the order in which the folders are searched.
_OPTIONS = ("iquote", "I", "isystem", "idirafter")
_FOLDER = re.compile(rf"(?<![^\s'\"])-({'|'.join(_OPTIONS)}) *(\S+)")


def own_headers(names: Iterable[str], *, cwd: str, is_own: Callable[[str], bool]) -> list[str]:
    """Those of `names` (headers in a `.cmd` file, relative to `cwd`) that belong to the module, as absolute paths."""
    found = []
    for name in names:
        path = normal_path(cwd, name)
        if is_own(path):
            found.append(path)
    return found


def search_headers(
    source: str, folders: Sequence[str], *, exists: Callable[[str], bool], find: Callable[[str], str] = str
) -> list[str]:
    """The headers that `source` may include, also through other headers, from the folder of the including file and from
    `folders`; absolute and sorted. `exists` says whether there is, or will be, a header at a path; `find` returns the
    file that the compiler finds at a path.

    `#if` is ignored: a header too many costs one needless rebuild, a header too few makes a wrong build.
    """
    seen: dict[str, None] = {}
    waiting = [source]
    while waiting:
        path = waiting.pop()
        for name in _included(find(path)):
            for folder in (os.path.dirname(path), *folders):  # noqa: PTH120
                candidate = os.path.normpath(os.path.join(folder, name))  # noqa: PTH118
                if candidate in seen:
                    break
                if exists(candidate):
                    seen[candidate] = None
                    waiting.append(candidate)
                    break
    return sorted(seen)


def searched_folders(command: str, *, cwd: str) -> list[str]:
    """The folders in which a compiler searches for headers, in its order, for the command's options, in the directory
    `cwd`; a folder that is named twice is there twice. (The folder of the including file comes before them.)"""
    found: list[tuple[int, str]] = []
    for match in _FOLDER.finditer(command):
        path = os.path.normpath(os.path.join(cwd, match[2].strip("'\"")))  # noqa: PTH118
        found.append((_OPTIONS.index(match[1]), path))
    return [path for _, path in sorted(found, key=lambda item: item[0])]


def include_folders(command: str, *, cwd: str, is_own: Callable[[str], bool]) -> list[str]:
    """The module's own folders among those, each once."""
    return [path for path in dict.fromkeys(searched_folders(command, cwd=cwd)) if is_own(path)]


def _included(path: str) -> Iterator[str]:
    try:
        content = Path(path).read_bytes()
    except OSError:
        return
    if path.endswith(".rs"):
        yield from map(os.fsdecode, _used_in_rust(content, Path(path).stem))
        return
    for match in _INCLUDE.finditer(content):
        yield os.fsdecode(match.group(1))


def _used_in_rust(content: bytes, stem: str) -> Iterator[bytes]:
    """The files that a source in Rust may consist of; those of a module `stem` may lie in a folder of its name."""
    for match in _RUST_MODULE.finditer(content):
        if match[1]:
            yield match[1]
        else:
            yield from (match[2] + b".rs", match[2] + b"/mod.rs")
            yield from (os.fsencode(stem) + b"/" + match[2] + ending for ending in (b".rs", b"/mod.rs"))
    for match in _RUST_INCLUDE.finditer(content):
        yield match[1]
