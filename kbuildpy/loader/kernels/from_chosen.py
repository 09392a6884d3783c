# SPDX-License-Identifier: GPL-2.0-only
"""Reads the facts about a kernel that `kernel.resolve` chose: from its tree, else from its image. If a kernel has both,
the facts come from the tree, and the keys from the image.
"""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.chosen import ChosenKernel
from kbuildpy.kernel.find import installed_tree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_tree import AskTree, kernel_from_tree


def loader_kernel(chosen: ChosenKernel, ask: AskTree | None = None, *, root: Path = Path("/")) -> LoaderKernel:
    """Return the facts about the kernel `chosen`.

    `ask` gets vermagic and the layout of struct module from a tree's compiler. Missing facts come from the headers or
    the image of the same release that are installed below `root`. Raises `KbuildError` for a damaged tree or image,
    `UsageError` if the user named a file that is no kernel image.
    """
    if chosen.tree is not None:
        return kernel_from_tree(chosen.tree, ask, image=chosen.image, root=root)
    try:
        return _from_image(chosen.the_image(), ask, root)
    except KbuildError as error:
        if chosen.release is None:
            raise UsageError(error.message, hint=error.hint) from error
        raise


def _from_image(image: Path, ask: AskTree | None, root: Path) -> LoaderKernel:
    from kbuildpy.loader.kernels.from_image import kernel_from_image

    kernel = kernel_from_image(image)
    if kernel.exports is not None:
        return kernel
    # Without its modules, an image has no exports of modules and no layout of struct module: the headers have them.
    tree = installed_tree(kernel.release, root)
    return kernel if tree is None else kernel_from_tree(tree, ask, image=image, root=root)
