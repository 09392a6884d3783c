# SPDX-License-Identifier: GPL-2.0-only
"""FAST=1: sources behind precompiled headers depend on the same files, and a build without it has make's bytes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kbuildpy.elf.image import ModuleImage
from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import kbuildpy, make
from tests.support.edits import edit
from tests.support.kernel_trees import tree_of

pytestmark = pytest.mark.parity

SOURCE = """// SPDX-License-Identifier: GPL-2.0
/* A driver. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt
#include <linux/module.h>
#include <linux/seq_file.h>
#include <drv.h>
#include "near.h"

static int value = FAR + NEAR;
module_param(value, int, 0444);

static int __init drv_init(void)
{
\tpr_debug("value %d\\n", value);
\treturn 0;
}
module_init(drv_init);
MODULE_LICENSE("GPL");
"""
FILES = {
    "Kbuild": "obj-m := drv.o\nccflags-y := -I$(src)/include\n",
    "drv.c": SOURCE,
    "near.h": "#define NEAR 1\n",
    "include/drv.h": "#define FAR 10\n",
}


@pytest.fixture(params=["6.1", pytest.param("6.12", marks=pytest.mark.sweep)])
def line(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def headers_of(place: Path, tree: KernelTree) -> set[str]:
    """The files that the object was made from, as its `.cmd` file has them."""
    [record] = place.rglob("build/*/.drv.o.cmd")
    names = re.findall(r"^ +([^$ ]+) ", record.read_text(), re.MULTILINE)
    return {os.path.normpath(os.path.join(tree.objects, name)) for name in names}  # noqa: PTH118


def test_fast_objects_depend_on_the_same_files_and_are_not_mistaken_for_makes(line: str, tmp_path: Path) -> None:
    tree, place, cache = tree_of(line), tmp_path / "drv", tmp_path / "cache"
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)

    def build(*words: str) -> str:
        done = kbuildpy("build", place, "-k", tree.objects, *words, env={"KBUILDPY_CACHE": str(cache)})
        assert done.returncode == 0, done.error_text
        assert ("FAST=1: objects are not byte for byte make's" in done.error_text) == ("FAST=1" in words)
        return done.text

    module = place / "build" / tree.release / "drv.ko"
    build()
    plain, plain_headers = module.read_bytes(), headers_of(place, tree)
    assert "CC [M]  drv.o" in build("FAST=1")
    for value in "23":
        edit(place / "near.h", FILES["near.h"] if value == "2" else f"#define NEAR {int(value) - 1}\n", "")
        (place / "near.h").write_text(f"#define NEAR {value}\n")
        assert "CC [M]  drv.o" in build("FAST=1")
        assert headers_of(place, tree) == plain_headers
    [precompiled] = cache.glob("precompiled_sources/*/module.h.gch")
    before = precompiled.stat().st_mtime_ns
    # A header of the module's own that is in the precompiled file.
    edit(place / "include/drv.h", "10", "20")
    assert "CC [M]  drv.o" in build("FAST=1")
    assert precompiled.stat().st_mtime_ns != before
    assert parameter_of(module) == 23
    # Without FAST=1, the bytes are make's again.
    (place / "near.h").write_text(FILES["near.h"])
    (place / "include/drv.h").write_text(FILES["include/drv.h"])
    assert "CC [M]  drv.o" in build()
    assert module.read_bytes() == plain
    make(tree, place)
    assert (place / "drv.ko").read_bytes() == plain


def parameter_of(module: Path) -> int:
    """The value of the only int in the module's .data."""
    section = ModuleImage.from_path(module).section(".data")
    assert section is not None
    return int.from_bytes(module.read_bytes()[section.offset :][:4], "little")


def test_an_error_of_the_compiler_is_told_once(tmp_path: Path) -> None:
    tree, cache = tree_of("6.1"), tmp_path / "cache"
    for name, text in FILES.items():
        (tmp_path / "drv" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "drv" / name).write_text(text)
    for error in ("first", "second", "third"):
        (tmp_path / "drv/near.h").write_text(f"#error {error}\n#define NEAR 1\n")
        done = kbuildpy("build", tmp_path / "drv", "-k", tree.objects, "FAST=1", env={"KBUILDPY_CACHE": str(cache)})
        assert done.returncode == 1
        assert done.error_text.count(f"#error {error}") == 2  # (the message, and the line that it quotes)
