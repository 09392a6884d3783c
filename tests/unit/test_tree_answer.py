# SPDX-License-Identifier: GPL-2.0-only
"""The commands of a tree's answer for a module, in place of the placeholder."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.kbuild.placeholder import PLACEHOLDER
from kbuildpy.kbuild.plan import BuildStep
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.tree import KernelTree

MODPOST = BuildStep("modpost", "", "")


def command_for(text: str, module: str, *, in_directory: bool) -> str:
    tree = KernelTree(Path("/tree"), Path("/tree"), "7.3")
    answer = TreeAnswer(tree, "/there", {}, in_directory, MODPOST, (), "", "", (), (), (), "", {}, (), (), "identity")
    step = BuildStep("cc_o_c", "", text.replace("NAME", PLACEHOLDER))
    return answer.steps_for((step,), directory="/drv", module=module)[0].command


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("hello", "ld -r -o ./.tmp_hello.mod.o hello.mod.o; mv ./.tmp_hello.mod.o hello.mod.o"),
        ("a/hello", "ld -r -o a/.tmp_hello.mod.o a/hello.mod.o; mv a/.tmp_hello.mod.o a/hello.mod.o"),
    ],
)
def test_the_object_that_is_linked_again_is_beside_the_module(module: str, expected: str) -> None:
    relative = "ld -r -o ./.tmp_NAME.mod.o NAME.mod.o; mv ./.tmp_NAME.mod.o NAME.mod.o"
    assert command_for(relative, module, in_directory=True) == expected
    absolute = relative.replace("./.tmp", "/there/.tmp").replace(" NAME", " /there/NAME")
    whole = expected.replace("./", "").replace(" .tmp", " /drv/.tmp").replace(f" {module}.", f" /drv/{module}.")
    whole = whole.replace(" a/.tmp", " /drv/a/.tmp")
    assert command_for(absolute, module, in_directory=False) == whole
