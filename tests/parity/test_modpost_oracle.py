# SPDX-License-Identifier: GPL-2.0-only
"""The tree's own modpost beside ours, over the same objects.

`build` lets Kbuild compile modules and stop before the final link; `compare` runs both modposts over some of
them and asserts that files, messages and verdict are the same.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.modpost.known import KnownModules
from kbuildpy.modpost.records import ObjectRecord
from tests.support.kernel_trees import TREES, each_tree
from tests.support.modposts import (
    Outcome,
    assert_same_modpost,
    build,
    ours,
    usual_options,
)

pytestmark = pytest.mark.parity


HELLO = """\
#include <linux/module.h>
static int __init hello_init(void) { pr_info("hello\\n"); return 0; }
static void __exit hello_exit(void) { }
module_init(hello_init);
module_exit(hello_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("hello");
MODULE_VERSION("1");
"""


@each_tree
def test_a_small_module_gets_the_same_mod_c(tree: KernelTree, tmp_path: Path) -> None:
    built = build(tree, tmp_path, {"hello.c": HELLO, "Kbuild": "obj-m := hello.o\n"}, "modules")
    outcome = assert_same_modpost(built, ["hello"], usual_options(built))
    assert outcome.mod_c and outcome.messages == ""


@pytest.mark.skipif(not TREES, reason="no kernel headers here")
def test_an_object_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    tree = TREES[0]
    built = build(tree, tmp_path, {"hello.c": HELLO, "Kbuild": "obj-m := hello.o\n"}, "modules")
    options = usual_options(built)
    first = assert_same_modpost(built, ["hello"], options)
    path = built.module("hello").path
    status = path.stat()
    with path.open("r+b") as file:
        file.write(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def again(signature: str) -> Outcome:
        return ours(built, ["hello"], options, None, known=KnownModules(tmp_path / "known.json", signature))

    assert again("here") == first
    for change in (
        lambda: again("elsewhere"),
        lambda: os.utime(path),
        lambda: (tmp_path / "known.json").write_text(""),
    ):
        with pytest.raises(KbuildError, match="not an ELF file"):
            change()
            again("here")


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    record = ObjectRecord("/drv/a.o", tmp_path / ".a.o.cmd")
    with pytest.raises(KbuildError, match=r"\.a\.o\.cmd: No such file"):
        record.read()
