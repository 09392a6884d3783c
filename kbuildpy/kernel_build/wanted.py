# SPDX-License-Identifier: GPL-2.0-only
"""What a user asks of a small kernel -> its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.elf.image import ModuleImage
from kbuildpy.errors import UsageError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.alike import options_like
from kbuildpy.kernel_build.configure import configured
from kbuildpy.kernel_build.needed_options import imports_of, options_for
from kbuildpy.kernel_build.option_sets import options_of, read_option_sets, read_options
from kbuildpy.kernel_build.recipe import KernelRecipe, toolchain_of
from kbuildpy.kernel_build.requirements import require_programs, require_tools
from kbuildpy.kernel_build.sources import Tell, find_source
from kbuildpy.printable import printable


@dataclass(frozen=True)
class Wanted:
    """A kernel as a user asks for it."""

    source: str = ""
    """A directory, an archive, a package or a line (`sources.find_source`)."""
    line: str = ""
    """The line where there is no `source`, such as 6.1."""
    sets: Sequence[str] = ()
    """Names of sets of options."""
    config: Path | None = None
    """A file with more options."""
    like: KernelTree | None = None
    """A kernel whose configuration is followed."""
    modules: Sequence[ModuleImage] = ()
    """Modules that it has to have the symbols for."""
    llvm: str = ""
    """make's LLVM: "1", "-16"; "" for gcc."""
    arch: str = ""
    """The architecture; "" for this machine's."""
    name: str = ""
    """What its release ends with."""
    update: bool = False
    """Look for newer sources."""


def recipe_of(wanted: Wanted, *, tell: Tell) -> KernelRecipe:
    """The recipe for `wanted`; its sources are downloaded where they are not here, which `tell` is told. Raises
    `UsageError` and `KbuildError`."""
    sets = read_option_sets(wanted.sets)
    toolchain = toolchain_of(wanted.arch, wanted.llvm, sets)
    more = read_options(wanted.config) if wanted.config else {}
    if wanted.name and not _is_name(wanted.name):
        raise UsageError(
            f"--name {printable(wanted.name)}: not a part of a release",
            hint="letters, digits, dots, underscores and hyphens, at most 40",
        )

    def begin(text: str) -> None:
        # (not after a download of 130 MB)
        require_programs(toolchain, options)
        tell(text)

    options = options_of(sets) | more
    source = find_source(wanted.source, line=wanted.line, update=wanted.update, tell=begin)
    srcarch = toolchain.machine.srcarch
    base = options_like(wanted.like.config, source, srcarch) if wanted.like else None
    recipe = KernelRecipe(source, toolchain, sets, more, base, wanted.name)
    if not wanted.modules:
        return recipe
    require_tools(recipe)
    needed = options_for(imports_of(wanted.modules), source, srcarch, configured(recipe))
    return KernelRecipe(source, toolchain, sets, {**needed.options, **more}, base, wanted.name)


def _is_name(text: str) -> bool:
    return len(text) <= 40 and text.isascii() and all(each.isalnum() or each in "._-" for each in text)
