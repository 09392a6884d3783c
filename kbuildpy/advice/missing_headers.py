# SPDX-License-Identifier: GPL-2.0-only
"""A header that is not found: where it is instead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from kbuildpy.advice.advice import Advice
from kbuildpy.advice.near_names import near_names
from kbuildpy.advice.other_kernels import OtherKernels
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.tree import KernelTree

_MOST_FILES = 5000
_SHOWN = 3


def missing_header(name: str, tree: KernelTree, others: OtherKernels, directory: Path) -> Advice:
    """What is known of the header that a source includes as `name`."""
    lines: list[str] = []
    base = PurePosixPath(name).name
    own = list(_own_headers(directory, base))
    for path in sorted(own, key=lambda path: not _is_named(path, name))[:1]:
        included = name if _is_named(path, name) else base
        folder = os.path.relpath(str(path).removesuffix(included), directory)
        option = f"ccflags-y += -I$(src)/{folder}".removesuffix("/.")
        renamed = "" if included == name else f" as {included}"
        lines.append(f"{path} is in the module directory: {option} in the Kbuild file finds it{renamed}")
    here = _included_names(tree)
    same = sorted((path for path in here if PurePosixPath(path).name == base), key=lambda path: _order(path, name))
    lines += [f"#include <{path}> is here" for path in same[:_SHOWN]]
    kernels = [other.release for other in others.trees if any((root / name).is_file() for root in _roots(other))]
    if kernels:
        lines.append(f"{', '.join(kernels)} has it" if len(kernels) == 1 else f"{', '.join(kernels)} have it")
    similar = tuple(same[:_SHOWN])
    if not same and not own:
        folder = str(PurePosixPath(name).parent)
        beside = [path for path in here if str(PurePosixPath(path).parent) == folder]
        similar = near_names(beside).nearest(name)
        lines += [f"did you mean <{path}>?" for path in similar]
    return Advice("compiler", name, (), tuple(lines), (), similar, tuple(kernels))


def _is_named(path: Path, name: str) -> bool:
    return str(path).endswith(f"/{name}")


def _roots(tree: KernelTree) -> list[Path]:
    """The folders in which `#include <...>` finds the headers of a tree."""
    arch = f"arch/{architecture_of(tree).srcarch}/include"
    tops = [part / name for part in (tree.source, tree.objects) for name in (arch, "include")]
    return [top / name for top in tops for name in ("generated/uapi", "generated", "uapi", "")]


def _included_names(tree: KernelTree) -> list[str]:
    """The headers of a tree as `#include <...>` names them."""
    found: dict[str, None] = {}
    for root in _roots(tree):
        for folder, folders, names in os.walk(root):
            if Path(folder) == root:
                folders[:] = [name for name in folders if name not in ("uapi", "generated", "config")]
            below = os.path.relpath(folder, root)
            prefix = "" if below == "." else f"{below}/"
            found.update((f"{prefix}{name}", None) for name in names if name.endswith(".h"))
    return list(found)


def _order(path: str, name: str) -> tuple[bool, bool, bool, int, str]:
    """linux/ first, then what shares a folder with the name that was asked for."""
    shared = set(PurePosixPath(path).parts[:-1]) & set(PurePosixPath(name).parts[:-1])
    return (not path.startswith("linux/"), path.startswith("asm-generic/"), not shared, path.count("/"), path)


def _own_headers(directory: Path, base: str) -> Iterator[Path]:
    seen = 0
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name != "build" and not name.startswith("."))
        seen += len(names)
        if seen > _MOST_FILES:
            return
        if base in names:
            yield Path(folder, base)
