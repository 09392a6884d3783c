# SPDX-License-Identifier: GPL-2.0-only
"""The facts about a kernel that `kernel.resolve` chose: from its tree, else from its image. If a kernel has both, the
facts come from the tree, and the keys from the image.
"""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.chosen import ChosenKernel
from kbuildpy.kernel.find import installed_tree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_tree import AskTree, kernel_from_tree


def loader_kernel(chosen: ChosenKernel, ask: AskTree | None = None, *, root: Path = Path("/")) -> LoaderKernel:
    """The kernel `chosen` as its loader sees a module.

    `ask` is how `kernel_from_tree` asks a tree's compiler. Headers and images of the same release that are installed
    below `root` complete it. Raises `KbuildError` for a tree or an image that is damaged, `UsageError` for a file that
    was named and is no kernel image.
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
    # An image alone says little; its headers, where they are installed, say the rest.
    tree = installed_tree(kernel.release, root)
    return kernel if tree is None else kernel_from_tree(tree, ask, image=image, root=root)
