# SPDX-License-Identifier: GPL-2.0-only
"""Reads the facts about a kernel from its kernel tree: all but the keys, which only the image has.

Facts that the tree lacks come from the image and the modules of the same release, if they are installed. The layout of
`struct module` comes from the compiler; the caller passes a function that runs it (`kbuild.ask_module_facts`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.find_image import image_of_tree
from kbuildpy.kernel.module_facts import ModuleFacts
from kbuildpy.kernel.modules_directory import modules_directory
from kbuildpy.kernel.own_modules import OwnModules, own_modules_of_tree
from kbuildpy.kernel.release import Version, release_of_vermagic
from kbuildpy.kernel.symvers import read_symvers
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.facts import Fact
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.exports import SymversExports
from kbuildpy.loader.kernels.keys import keyring_of_image
from kbuildpy.loader.kernels.shipped import facts_of_modules

if TYPE_CHECKING:
    from kbuildpy.loader.btf.types import BtfTypes

AskTree = Callable[[KernelTree], ModuleFacts]
"""Returns vermagic and the layout of struct module by running a tree's compiler; raises `KbuildError` if that fails."""


def kernel_from_tree(
    tree: KernelTree,
    ask: AskTree | None = None,
    *,
    image: Path | None = None,
    modules: Path | None = None,
    root: Path = Path("/"),
) -> LoaderKernel:
    """Return the facts about the kernel that `tree` builds modules for.

    `ask` returns vermagic and the layout of struct module. `image` is the kernel's image and `modules` its
    `lib/modules/RELEASE`; both default to those of the tree's release that are installed below `root`. Raises
    `KbuildError` for a malformed `Module.symvers`.
    """
    missing: dict[Fact, str] = {}
    modules = modules or modules_directory(tree.release, root=root)
    facts = _facts(tree, ask, modules, missing)
    exports = _exports(tree, missing)
    if image is None:
        try:
            image = image_of_tree(tree, root=root)
        except KbuildError as error:
            missing[Fact.CERTIFICATES] = error.message
    own = own_modules_of_tree(tree) or (OwnModules(modules) if modules else None)
    if own is None:
        missing[Fact.OWN_MODULES] = f"there is no lib/modules/{tree.release}/kernel below {root}"
    version = tree.stable_version
    return LoaderKernel(
        release=tree.release,
        version=version,
        machine=str(architecture_of(tree)),
        config=tree.config,
        vermagic=facts.vermagic if facts else None,
        struct_module=facts.struct_module if facts else None,
        exports=exports,
        wants_every_version=wants_every_version(tree),
        keyring=partial(keyring_of_image, image) if image else None,
        own_modules=own,
        own_types=partial(_own_types, tree.objects / "vmlinux", image, version),
        types_identity=partial(types_identity, tree.objects / "vmlinux", image, version),
        missing=missing,
    )


def wants_every_version(tree: KernelTree) -> bool | None:
    """See `LoaderKernel.wants_every_version`: from the kernel's source, else from a header that only Debian's patches
    make. None where the tree has neither."""
    source = tree.source / "kernel/module/version.c"
    if source.is_file():
        warned = re.search(r'pr_warn(\w*)\("%s: no symbol version for %s', source.read_text(errors="replace"))
        return None if warned is None else not warned[1]
    return True if (tree.objects / "include/generated/package.h").is_file() else None


def _facts(tree: KernelTree, ask: AskTree | None, modules: Path | None, missing: dict[Fact, str]) -> ModuleFacts | None:
    """Vermagic and the layout of struct module: from the tree's compiler, else from a module built with the kernel."""
    reason = "the kernel tree's compiler was not asked"
    if ask is not None:
        try:
            return ask(tree)
        except KbuildError as error:
            reason = error.message.partition("\n")[0]  # The other lines are the compiler's output.
    if modules is not None:
        facts = facts_of_modules(modules)
        if facts is not None and release_of_vermagic(facts.vermagic) == tree.release:
            return facts
    missing[Fact.VERMAGIC] = missing[Fact.STRUCT_MODULE] = reason
    return None


def _own_types(vmlinux: Path, image: Path | None, version: Version) -> BtfTypes | None:
    """The kernel's BTF: from the tree's `vmlinux`, which a module's BTF is made against; else from the image."""
    from kbuildpy.loader.kernels.own_types import types_of_image, types_of_vmlinux  # Few modules have BTF.

    found = types_of_vmlinux(vmlinux, version) if vmlinux.is_file() else None
    return types_of_image(image, version) if found is None and image is not None else found


def types_identity(vmlinux: Path, image: Path | None, version: Version) -> str:
    """See `LoaderKernel.types_identity`."""
    from kbuildpy.loader.kernels.own_types import identity_of_types  # Few modules have BTF.

    return identity_of_types(vmlinux, image, version)


def _exports(tree: KernelTree, missing: dict[Fact, str]) -> SymversExports | None:
    if not tree.symvers.is_file():
        missing[Fact.EXPORTS] = f"{tree.symvers} is not there"
        return None
    symvers = read_symvers(tree.symvers, any_license=tree.version < (5, 19))
    if not len(symvers):
        missing[Fact.EXPORTS] = f"{tree.symvers} is empty"
        return None
    return SymversExports(symvers, tree.config.get("CONFIG_MODVERSIONS") == "y")
