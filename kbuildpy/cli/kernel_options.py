# SPDX-License-Identifier: GPL-2.0-only
"""The options that describe a kernel to build, of `kernel build` and `run --with`; and its build, with progress."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kbuildpy.cli.progress import with_counter
from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.chosen import Need
from kbuildpy.kernel.resolve import resolve_one
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.build import build_kernel, built_kernel
from kbuildpy.kernel_build.option_sets import option_set_names, read_option_sets
from kbuildpy.kernel_build.recipe import KernelRecipe
from kbuildpy.kernel_build.wanted import Wanted, recipe_of
from kbuildpy.printable import printable
from kbuildpy.say import complain, say


def set_names(words: Sequence[str]) -> list[str]:
    """The names in the values of `--with`. Raises `UsageError` for an empty one."""
    names = [name.strip() for word in words for name in word.split(",")]
    if words and not all(names):
        raise UsageError("--with: an empty name", hint=f"one of {', '.join(option_set_names())}")
    return names


def print_sets() -> None:
    """Print all sets of options, each with what it is for."""
    names = option_set_names()
    width = max(map(len, names))
    for name in names:
        [each] = read_option_sets([name])
        notes = [f"needs {each.compiler}"] if each.compiler else []
        notes += [f"not with {', '.join(sorted(each.excludes))}"] if each.excludes else []
        suffix = f" ({'; '.join(notes)})" if notes else ""
        say(f"{name:{width}}  {each.summary}{suffix}")


def line_of(words: Sequence[str]) -> str:
    """The line (`6.1`) of the kernel that `words` (`-k`) name, else of the default one; "" where there is none. Raises
    what `resolve` raises for a word."""
    try:
        chosen = resolve_one(words, Need.EITHER, environ=os.environ)
    except KbuildError:
        if words:
            raise
        return ""
    release = chosen.release or ""
    return ".".join(release.split("-")[0].split(".")[:2])


def images_of(files: Sequence[Path]) -> list[ModuleImage]:
    """The modules in `files`."""
    return [ModuleImage.from_path(file) for file in files]


def make_kernel(wanted: Wanted, *, quiet: bool) -> tuple[KernelRecipe, KernelTree]:
    """The kernel for `wanted`, built if it is not here; what takes long is told on standard error unless `quiet`."""

    def tell(text: str) -> None:
        if not quiet:
            complain(f"kbuildpy: {printable(text)}")

    recipe = recipe_of(wanted, tell=tell)
    found = built_kernel(recipe)
    if found is not None:
        return recipe, found
    with with_counter(" files", quiet=quiet) as advance:
        return recipe, build_kernel(recipe, tell=tell, advance=advance)
