# SPDX-License-Identifier: GPL-2.0-only
"""Digests of files' contents: two machines have the same file at another time.

The user's cache remembers those of large files that seldom change: compilers, vmlinux, the headers of a kernel tree.
"""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kbuildpy.kbuild.finished_build import FileState, file_state
from kbuildpy.kbuild.stamps import changed_since, digest
from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel.tree import KernelTree

_LEFT_OUT = frozenset({"Documentation", "tools", "samples", ".git"})
_PARTS = (".h", ".lds", ".so")
_CHUNK = 1 << 20
_PROGRAMS: dict[tuple[str, FileState], str] = {}
"""The digests of programs that this process has asked for: each object of a build asks for the same ones."""


def content_digest(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal; "" for one that cannot be read."""
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a thousand calls a build
            while chunk := file.read(_CHUNK):
                found.update(chunk)
    except OSError:
        return ""
    return found.hexdigest()


def program_digest(path: str) -> str:
    """The same of a file outside of the project, remembered from one build to the next."""
    state = file_state(path)
    found = _PROGRAMS.get((path, state))
    if found is None:
        found, is_settled = _remembered("contents", path, list(state), lambda: content_digest(path), [path])
        if is_settled:
            _PROGRAMS[path, state] = found
    return found


def tree_digest(tree: KernelTree) -> str:
    """A digest of the contents of every header of a kernel tree (generated ones, and so the configuration, among them),
    of its linker scripts and of its compiler plugins, with their names; remembered as well."""
    files: dict[str, tuple[str, FileState]] = {}
    seen: set[str] = set()
    for number, top in enumerate(dict.fromkeys((str(tree.source), str(tree.objects)))):
        for folder, names, found in os.walk(top, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                names.clear()
                continue
            seen.add(real)
            names[:] = sorted(name for name in names if name not in _LEFT_OUT)
            for name in sorted(found):
                if name.endswith(_PARTS):
                    path = f"{folder}/{name}"
                    files[path] = (f"{number}{path[len(top) :]}", file_state(path))

    def contents() -> str:
        return digest([(name, content_digest(path)) for path, (name, _) in files.items()])

    return _remembered("tree_contents", str(tree.objects), digest(list(files.items())), contents, files)[0]


def is_digested(tree: KernelTree, path: str) -> bool:
    """Whether `tree_digest` covers `path` (absolute, normal): a file of the tree that was changed, added or removed
    there changes the digest."""
    return path.endswith(_PARTS) and _is_digested_folder(str(tree.source), str(tree.objects), os.path.dirname(path))  # noqa: PTH120


@functools.lru_cache(1 << 14)
def _is_digested_folder(source: str, objects: str, folder: str) -> bool:
    return any(
        folder == top or (folder.startswith(f"{top}/") and _LEFT_OUT.isdisjoint(folder[len(top) :].split("/")))
        for top in (source, objects)
    )


def _remembered(kind: str, name: str, state: object, find: Callable[[], str], paths: Iterable[str]) -> tuple[str, bool]:
    """What `find` returns, kept until `state` is another one; not if one of `paths` may have changed meanwhile. And
    whether it is kept."""
    path = cache_directory() / kind / f"{digest(name)}.json"
    known = read_json(path)
    if isinstance(known, dict) and known.get("state") == state and isinstance(known.get("digest"), str):
        return str(known["digest"]), True
    began_ns = time.time_ns()
    found = find()
    is_settled = not any(changed_since(each, began_ns) for each in paths)
    if is_settled:
        write_json(path, {"state": state, "digest": found})
    return found, is_settled
