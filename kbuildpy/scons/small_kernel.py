# SPDX-License-Identifier: GPL-2.0-only
"""A small kernel with sets of options, which is built when modules are to be run in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import UsageError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.build import build_kernel, built_kernel
from kbuildpy.kernel_build.option_sets import kernel_parameters
from kbuildpy.kernel_build.wanted import Wanted, recipe_of
from kbuildpy.printable import printable
from kbuildpy.say import complain
from kbuildpy.scons.options import is_cleaning, is_dry_run


def small_kernel(
    env: Any, call: str, line: str, sets: Sequence[str], modules: Sequence[Path]
) -> tuple[KernelTree, tuple[str, ...]] | None:
    """The tree of a kernel of `line` with the sets of options `sets` and what `modules` need, and kernel parameters;
    None for one that would have to be built in a run that builds nothing (-n, -c).

    Raises `UsageError` for modules that were never built, and what `build_kernel` raises.
    """
    idle = is_dry_run(env) or is_cleaning(env)
    missing = [path for path in modules if not path.is_file()]
    if missing and idle:
        return None
    if missing:
        raise UsageError(
            f"{call}: kernels: {missing[0].name} was not built yet: what it needs decides over the kernel's options",
            hint="run scons without a target first",
        )

    def tell(text: str) -> None:
        complain(f"kbuildpy: {printable(text)}")

    images = [ModuleImage.from_path(path) for path in modules]
    recipe = recipe_of(Wanted(line=line, sets=sets, modules=images), tell=tell)
    tree = built_kernel(recipe)
    if tree is None and not idle:
        tree = build_kernel(recipe, tell=tell, advance=lambda count: None)
    return None if tree is None else (tree, kernel_parameters(sets))
