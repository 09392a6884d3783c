"""The kernels that `-k` names for a check: trees, and images of kernels that have no headers here.

Of a kernel that has both, the tree says what modules are built against, and the image lends its keys.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.find import find_trees
from kbuildpy.kernel.installed import installed_image, installed_kernels
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_tree import AskTree, kernel_from_tree


class OpenedKernel(NamedTuple):
    """A kernel, and in one sentence why it was taken."""

    kernel: LoaderKernel
    reason: str


class _Source(NamedTuple):
    """What a kernel is made from: its tree, or the path of its image, which somebody may have `named`."""

    origin: KernelTree | Path
    reason: str
    named: bool = False

    @property
    def place(self) -> Path:
        return self.origin.resolve() if isinstance(self.origin, Path) else self.origin.objects


def open_kernels(
    words: Sequence[str] = (),
    ask: AskTree | None = None,
    *,
    kdir: str | None = None,
    kernelrelease: str | None = None,
    root: Path = Path("/"),
    running: str = "",
    paths: bool = True,
) -> list[OpenedKernel]:
    """The kernels that `words` name, in that order, each once: a tree's path, an image's path, a release, `running`, or
    `all` (every tree, and every installed kernel that has none, below `root`).

    With none there is exactly one, as `find_trees` chooses it; but a running kernel that is installed without headers
    comes before another one's tree. Without `paths` each word is a release and nothing else: a module says what it was
    built for, and that must not lead to a tree of its author's. `ask` is how `kernel_from_tree` asks a tree, `running`
    what `uname -r` says. Raises `UsageError` for a word that names no kernel, `KbuildError` for one that cannot be
    used, and for none at all.
    """
    running = running or os.uname().release
    if words:
        sources = [source for word in words for source in _of_word(word, root, running, paths=paths)]
    else:
        sources = [_default(kdir, kernelrelease, root, running)]
    once: dict[Path, _Source] = {}
    for source in sources:
        once.setdefault(source.place, source)
    return [OpenedKernel(_opened(source, ask, root), source.reason) for source in once.values()]


def _opened(source: _Source, ask: AskTree | None, root: Path) -> LoaderKernel:
    try:
        return _open(source.origin, ask, root)
    except KbuildError as error:
        if source.named:
            raise UsageError(error.message, hint=error.hint) from error
        raise


def _open(origin: KernelTree | Path, ask: AskTree | None, root: Path) -> LoaderKernel:
    if isinstance(origin, KernelTree):
        return kernel_from_tree(origin, ask, root=root)
    from kbuildpy.loader.kernels.from_image import kernel_from_image

    kernel = kernel_from_image(origin)
    if kernel.exports is not None:
        return kernel
    # An image alone says little; its headers, where they are installed, say the rest.
    try:
        tree = find_trees(kernelrelease=kernel.release, root=root)[0].tree
    except UsageError:
        return kernel
    return kernel_from_tree(tree, ask, image=origin, root=root)


def _default(kdir: str | None, kernelrelease: str | None, root: Path, running: str) -> _Source:
    if not kdir and not kernelrelease:
        try:
            return _of_word("running", root, running)[0]
        except UsageError:
            pass  # neither headers nor an image of it: any other kernel will do
    found = find_trees(kdir=kdir, kernelrelease=kernelrelease, root=root, running=running)[0]
    return _Source(found.tree, found.reason)


def _of_word(word: str, root: Path, running: str, *, paths: bool = True) -> list[_Source]:
    if paths and word == "all":
        return [_Source(origin, "All installed kernels are wanted.") for origin in installed_kernels(root)]
    if paths and Path(word).is_file():
        return [_Source(Path(word), "Its path was given.", named=True)]
    try:
        named = find_trees([word], root=root, running=running) if paths else find_trees(kernelrelease=word, root=root)
        return [_Source(found.tree, found.reason) for found in named]
    except UsageError:
        release = running if word == "running" else word
        # (without its modules, most of what is asked of a kernel is not known)
        image = installed_image(release, root)
        if image is None:
            raise
        return [_Source(image, f"It is installed ({image}); there are no headers of it.")]
