# SPDX-License-Identifier: GPL-2.0-only
"""A small kernel with sets of options, which is built when modules are to be run in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import UsageError
from kbuildpy.kernel.built import built_sets
from kbuildpy.kernel.fetched import built_trees
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.build import build_kernel, built_kernel
from kbuildpy.kernel_build.option_sets import kernel_parameters
from kbuildpy.kernel_build.wanted import Wanted, recipe_of
from kbuildpy.printable import printable
from kbuildpy.say import complain
from kbuildpy.scons.kernel_words import KernelWord, line_of_tree


def small_kernel(
    call: str, line: str, word: KernelWord, modules: Sequence[Path], *, idle: bool
) -> tuple[KernelTree, tuple[str, ...]] | None:
    """The tree of a kernel of `line` with the sets of options that `word` names and what `modules` need, and kernel
    parameters; None in a run that builds nothing (`idle`), where no kernel of the line was built with these sets.

    Raises `UsageError` for modules that were never built, and what `build_kernel` raises.
    """
    if idle:
        built = [tree for tree in built_trees().trees if line_of_tree(tree) == line]
        like = [tree for tree in built if sorted(built_sets(tree.objects)) == sorted(word.sets)]
        return (like[-1], kernel_parameters(word.sets)) if like else None
    missing = [path for path in modules if not path.is_file()]
    if missing:
        raise UsageError(
            f"{call}: kernels: {missing[0].name} was not built yet: what it needs decides over the kernel's options",
            hint="run scons without a target first",
        )

    def tell(text: str) -> None:
        complain(f"kbuildpy: {printable(text)}")

    images = [ModuleImage.from_path(path) for path in modules]
    recipe = recipe_of(Wanted(line=line, sets=word.sets, llvm=word.llvm, modules=images), tell=tell)
    tree = built_kernel(recipe)
    if tree is None:
        tree = build_kernel(recipe, tell=tell, advance=lambda count: None)
    return tree, kernel_parameters(word.sets)
