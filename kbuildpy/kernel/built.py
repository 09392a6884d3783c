# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that `kbuildpy kernel build` built. They lie among the fetched ones (`fetched`), with a note in the tree."""

from __future__ import annotations

import json
from pathlib import Path

BUILT_NOTE = "kbuildpy-kernel.json"
"""The file in the tree of such a kernel: what it was built from."""

BUILDING = ".building-"
"""What the name of a directory begins with in which a kernel is being built, or was when the build ended early."""


def is_built(objects: Path) -> bool:
    """Whether the tree with the object part `objects` was built by `kbuildpy kernel build`."""
    return (objects / BUILT_NOTE).is_file()


def built_sets(objects: Path) -> list[str]:
    """The names of the sets of options that the kernel of such a tree has; none where it does not say."""
    found = _note(objects).get("sets")
    return [str(name) for name in found] if isinstance(found, list) else []


def built_variables(objects: Path) -> dict[str, str]:
    """The variables of make that the kernel of such a tree was built with, which its modules need as well: ARCH,
    CROSS_COMPILE, LLVM; none where it does not say."""
    found = _note(objects).get("make")
    words = [word.partition("=") for word in found if isinstance(word, str)] if isinstance(found, list) else []
    return {name: value for name, equals, value in words if equals}


def built_source(objects: Path) -> Path | None:
    """The sources that the kernel of such a tree was built from; None where it does not say."""
    found = _note(objects).get("source_path")
    return Path(found) if isinstance(found, str) else None


def _note(objects: Path) -> dict[str, object]:
    try:
        found = json.loads((objects / BUILT_NOTE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
