# SPDX-License-Identifier: GPL-2.0-only
"""Every module that a distribution ships, against what its own modpost made of it.

A finished `.ko` still has what modpost looked at (device tables, undefined symbols, imported namespaces), and what it
made of that: aliases, `depends`, `__versions`. So our modpost runs over the image as if it were the object, with the
symvers of the kernel's headers package, and what it would write is compared with what is there.

The final link has put the symbols into another order than the object's by then, so that the order of versions and of
`depends` is not compared here. Computed aliases stand behind those that the source spells out with MODULE_ALIAS.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from kbuildpy.elf import ModuleImage
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.records import ModuleObject
from kbuildpy.modpost.stage import modpost
from tests.support.arm64 import CROSS, LINES, arm64_tree
from tests.support.kernel_trees import TREES, swept
from tests.support.modposts import Built, layouts_of, usual_options
from tests.support.packages import unpacked_for_arm64
from tests.support.shipped_modules import in_folder, plain, shipped

pytestmark = pytest.mark.parity

SAMPLE = 400
EXCEPTIONS: Mapping[tuple[str, str], str] = {}
"""(release, module) of a module that differs, and why."""

# Added after modpost, by resolve_btfids or pahole.
ADDED_LATER = re.compile(
    r"unexpected non-allocatable section '\.BTF|\(\.BTF[^)]*\): unexpected non-allocatable section"
)
MODULE_NAME_SIZE = 56


@dataclass(frozen=True)
class Stated:
    """What one modpost says of a module: computed aliases in order, what it depends on, (symbol, CRC) of imports."""

    aliases: list[str]
    depends: list[str]
    versions: dict[str, int]


@pytest.mark.parametrize("tree", [TREES[-1], *swept(*TREES[:-1])], ids=lambda tree: tree.release)
def test_a_sample_of_shipped_modules_is_stated_alike(tree: KernelTree, tmp_path: Path) -> None:
    images = list(shipped(tree))
    assert_stated_alike(tree, images[:: max(len(images) // SAMPLE, 1)], tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.release)
def test_every_shipped_module_is_stated_alike(tree: KernelTree, tmp_path: Path) -> None:
    assert_stated_alike(tree, list(shipped(tree)), tmp_path)


@pytest.mark.sweep
@pytest.mark.parametrize("line", LINES)
def test_every_shipped_module_for_arm64_is_stated_alike(line: str, tmp_path: Path) -> None:
    tree = arm64_tree(line)
    package = unpacked_for_arm64(f"linux-image-{tree.release}")
    assert_stated_alike(
        tree, list(in_folder(next(package.glob(f"**/lib/modules/{tree.release}/kernel")))), tmp_path, *CROSS
    )


def assert_stated_alike(tree: KernelTree, images: list[tuple[str, Path]], scratch: Path, *variables: str) -> None:
    """Our modpost over `images`, against what they carry."""
    layouts = layouts_of(tree, scratch / "layouts", *variables)
    modules = [ModuleObject(name, plain(path, scratch / f"{name}.ko"), ()) for name, path in images]
    versions = [option for option in usual_options(Built(tree, scratch)) if option in ("-M", "-m", "-b", "-x")]
    options = ModpostOptions.parse([*versions, "-i", str(tree.symvers)])
    result = modpost(modules, options, tree=tree, cwd=scratch, layouts=lambda: layouts)
    said = [item.text for item in result.diagnostics if ADDED_LATER.search(item.text) is None]
    assert said == []
    different = {}
    counted: Counter[str] = Counter()
    for module in modules:
        image = ModuleImage.from_path(module.path)
        problem = difference(result.mod_c[module.name], image, counted)
        if problem and (tree.release, module.name) not in EXCEPTIONS:
            different[module.name] = problem
    print(f"{tree.release}: {len(modules)} modules, {dict(counted)}")
    assert len(modules) >= SAMPLE
    assert different == {}


def difference(mod_c: str, image: ModuleImage, counted: Counter[str]) -> str:
    """What the image says otherwise than our `.mod.c`, "" for nothing."""
    ours = stated_by_source(mod_c)
    [depends] = image.modinfo_values("depends")
    listed = list(image.modinfo_values("alias"))
    versions = versions_of(image)
    counted.update(aliases=len(ours.aliases), depends=len(ours.depends), versions=len(ours.versions))
    if ours.versions != versions:
        return f"versions: {sorted(set(ours.versions.items()) ^ set(versions.items()))}"
    if sorted(ours.depends) != sorted(name for name in depends.split(",") if name):
        return f"depends: {ours.depends} in place of {depends}"
    # Symbols of one table that the linker moved behind another's take their aliases along.
    if sorted(listed[len(listed) - len(ours.aliases) :]) != sorted(ours.aliases):
        return f"aliases: {ours.aliases} do not end {listed}"
    return ""


def stated_by_source(mod_c: str) -> Stated:
    """What a `.mod.c` says."""
    found = re.search(r'^MODULE_INFO\(depends, "([^"]*)"\);', mod_c, re.MULTILINE)
    assert found is not None
    return Stated(
        re.findall(r'^MODULE_ALIAS\("(.*)"\);$', mod_c, re.MULTILINE),
        [name for name in found[1].split(",") if name],
        {
            name: int(crc, 16)
            for crc, name in re.findall(r'^\t\{ +(?:0x)?([0-9a-f]+), "(.*)" \},$', mod_c, re.MULTILINE)
        },
    )


def versions_of(image: ModuleImage) -> dict[str, int]:
    """The entries of `__versions`: CRC by symbol (include/linux/module.h: struct modversion_info)."""
    section = image.section("__versions")
    table = image.section_data(section) if section is not None else b""
    pairs = struct.iter_unpack(f"{image.header.order}Q{MODULE_NAME_SIZE}s", table)
    return {name.partition(b"\0")[0].decode(): crc for crc, name in pairs}
