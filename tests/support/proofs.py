# SPDX-License-Identifier: GPL-2.0-only
"""Builds of small modules with proofs of them: what was recorded, and what `kbuildpy reproduce` says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import kbuildpy
from tests.support.kbuild_sources import Sources, module, write_sources
from tests.support.packages import other_compiler

TWO_SOURCES: Sources = {
    "Kbuild": "obj-m := proved.o\nproved-y := one.o two.o\n",
    "one.c": module('#include "shared.h"\nint one(int n);\nint one(int n) { return n + SHARED; }'),
    "two.c": "int two(int n);\nint two(int n) { return n * 3; }\n",
    "shared.h": "#define SHARED 7\n",
}
"""A module of two sources with a header of its own, and few of the kernel's."""


@dataclass(frozen=True)
class ProvedModule:
    """A module with the manifest of its build."""

    tree: KernelTree
    directory: Path
    ko: Path
    manifest: Path

    def reproduce(self, *words: str | Path) -> tuple[int, dict[str, Any]]:
        """The exit status and the answer of `kbuildpy reproduce`."""
        argv = ("reproduce", self.ko, "--manifest", self.manifest, "--unverified", "--format", "json", *words)
        done = kbuildpy(*argv)
        assert done.returncode in (0, 1), done.error_text
        found: dict[str, Any] = json.loads(done.text)
        return done.returncode, found


def proved(tree: KernelTree, place: Path, sources: Sources, *variables: str, kdir: Path | None = None) -> ProvedModule:
    """The one module of `sources`, built at `place` for `tree` (or for the copy of it, `kdir`), with its manifest."""
    write_sources(sources, place)
    words = [*variables, *other_compiler(tree)]
    done = kbuildpy("build", place, "-k", kdir or tree.objects, *words)
    assert done.returncode == 0, done.error_text
    [ko] = (place / "build").glob("*/*.ko")
    manifest = place.parent / f"{place.name}.intoto.json"
    done = kbuildpy("provenance", ko, "-o", manifest)
    assert done.returncode == 0, done.error_text
    return ProvedModule(tree, place, ko, manifest)


def named(found: dict[str, Any], kind: str) -> list[str]:
    """The names of the inputs of a kind that an answer names."""
    return [str(item["name"]) for item in found["inputs"] if item["kind"] == kind]


def statement(manifest: Path) -> dict[str, Any]:
    """The statement in a manifest that is not signed."""
    found: dict[str, Any] = json.loads(manifest.read_text())
    return found
