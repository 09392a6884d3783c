# SPDX-License-Identifier: GPL-2.0-only
"""The tree of a row without its kernel: `modules_prepare` takes a minute of a processor's time, a kernel ten.

The Module.symvers that a kernel's build would leave is made up, with the symbols that the modules at hand need.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.configure import configure
from kbuildpy.kernel_build.make import make as make_kernel
from kbuildpy.kernel_build.requirements import require_tools
from tests.configurations.kernels import Kernel, recipe_for
from tests.configurations.rows import Row
from tests.support.builds import make

_UNDEFINED = re.compile(r"modpost: (?:\S+: symbol '([^']+)'|\"([^\"]+)\" \[\S+\]) undefined")


def prepared_kernel(row: Row, place: Path) -> Kernel:
    """The tree of `row` at `place`. The test is skipped where a program for it is missing; `KbuildError` for options
    that the kernel does not take."""
    recipe = recipe_for(row)
    try:
        require_tools(recipe)
    except KbuildError as error:
        pytest.skip(f"{row.name} cannot be prepared: {error}")
    place.mkdir(parents=True)
    configure(recipe, place)
    make_kernel(recipe, place, "modules_prepare")
    return Kernel(open_tree(place), tuple(recipe.toolchain.words))


def make_up_symvers(tree: KernelTree, directory: Path, variables: Sequence[str]) -> None:
    """Write a Module.symvers for `tree` with every symbol of the kernel that the modules in `directory` need, as make
    says; it names ten in a call. They are built in place."""
    needed: set[str] = set()
    found = {"module_layout"}
    while found - needed:
        needed |= found
        lines = (f"0x{zlib.crc32(name.encode()):08x}\t{name}\tvmlinux\tEXPORT_SYMBOL\t\n" for name in sorted(needed))
        tree.symvers.write_text("".join(lines))
        said = make(tree, directory, [*variables, "KBUILD_MODPOST_WARN=1"])
        found = {one or other for one, other in _UNDEFINED.findall(said.text + said.error_text)}
