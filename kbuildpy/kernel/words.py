# SPDX-License-Identifier: GPL-2.0-only
"""One word of `-k` -> kernels: a path, a release, a pattern of releases, `running`, `all`, `fetched` or
`built`.

What a word means does not depend on the command; only which part of the kernel has to be there does (`Need`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from kbuildpy.distribution import DEBIAN, UBUNTU, this_system
from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.chosen import ChosenKernel, FetchImage, Need
from kbuildpy.kernel.fetched import built_trees, fetched_tree, fetched_trees, is_fetched
from kbuildpy.kernel.find import InstalledTrees, installed_tree, installed_trees, releases_of_broken
from kbuildpy.kernel.find_image import ForeignImage, build_call, find_kernel_image, image_of_tree
from kbuildpy.kernel.installed import installed_image, installed_images
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.packages import headers_hint, image_hint, release_hint
from kbuildpy.kernel.release import is_release, release_order
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.similar import did_you_mean

OWN = "own"
"""The word for the kernel that a module was built for; only a command that reads modules first knows it."""

FETCHED = "fetched"
"""The word for all kernels that were fetched."""

BUILT = "built"
"""The word for all kernels that `kbuildpy kernel build` built."""

_PATTERN = re.compile(r"[*?\[]")
_FETCH = "kbuildpy kernels --fetch"
_WORDS = (
    "name a kernel tree's path, an image's path, a release, a pattern such as '6.1.0-*', `running`, `all`, `fetched`, "
    "or `built`"
)


@dataclass(frozen=True)
class Situation:
    """Where kernels are looked for, and which part of them is needed."""

    need: Need
    root: Path
    """The system that installed kernels are looked for in."""
    running: str
    """The release of the running kernel."""
    fetch: FetchImage | None = None
    """Gets an image that is not installed; None: it has to be."""
    more_words: Sequence[str] = ()
    """Words that the command knows besides those of all commands."""


def kernels_of_word(word: str, situation: Situation) -> list[ChosenKernel]:
    """The kernels that `word` names.

    A release and a pattern mean installed and fetched kernels, the installed one where there are both. These come
    before files and directories of the same name in the working directory. Raises `UsageError` for a word that names no
    kernel, or one that lacks what is needed, `KbuildError` for a broken tree.
    """
    if not word:
        raise UsageError("-k: an empty name", hint=_WORDS)
    if word == OWN:
        raise UsageError("-k own: the kernel that a module was built for; only `kbuildpy check` takes it", hint=_WORDS)
    if word == "all":
        return _all(situation)
    if word == FETCHED:
        return _every(fetched_trees(), word, f"{_FETCH} PATTERN", situation)
    if word == BUILT:
        return _every(built_trees(), word, "kbuildpy kernel build --with kasan", situation)
    if word == "running":
        return [kernel_of_release(situation.running, situation)]
    if "/" in word or word in {".", ".."}:
        return [_at(Path(word), situation)]
    if _PATTERN.search(word):
        return _matching(word, situation)
    found = installed_kernel(word, situation)
    if found is None and Path(word).exists():
        return [_at(Path(word), situation)]
    return [found or kernel_of_release(word, situation)]


def kernel_of_release(release: str, situation: Situation) -> ChosenKernel:
    """The kernel called `release`, which is never taken for a path, a pattern or another word.

    Its image is fetched where it is not installed. Raises `UsageError` if there is no such kernel, or it lacks what
    is needed; `KbuildError` for a broken tree.
    """
    found = installed_kernel(release, situation)
    if found is not None:
        return found
    missing = _missing(release, situation)
    if situation.fetch is None or not is_release(release):
        raise missing
    try:
        image = situation.fetch(release, None)
    except KbuildError as error:
        raise UsageError(missing.message, hint=f"its image could not be downloaded: {error.message}") from error
    return ChosenKernel(release, None, image, f"Its release was given; its image was downloaded ({image}).")


def installed_kernel(release: str, situation: Situation) -> ChosenKernel | None:
    """The installed kernel called `release`, else the fetched one; None if there is none, or it lacks what is needed.
    Raises `KbuildError` for a broken tree."""
    reason = "Its release was given."
    if release == situation.running:
        reason = f"It is the running kernel's ({release})."
    image = _image(release, situation.root) if situation.need is Need.IMAGE else None
    if image is not None:
        return ChosenKernel(release, None, image, reason)
    # (a tree that was built here has an image of its own)
    tree = installed_tree(release, situation.root) or fetched_tree(release)
    if tree is not None:
        try:
            return with_image(ChosenKernel(release, tree, None, reason), situation)
        except KbuildError as error:
            if situation.fetch is None:
                return None
            raise UsageError(_no_image(tree), hint=f"none could be downloaded: {error.message}") from error
    # (without its modules, an image tells little of what is asked of a kernel)
    image = installed_image(release, situation.root) if situation.need is Need.EITHER else None
    if image is None:
        return None
    return ChosenKernel(release, None, image, _of_image(image))


def with_image(kernel: ChosenKernel, situation: Situation) -> ChosenKernel:
    """`kernel`, which has a tree, with its image if that is needed. Raises `KbuildError` if there is none."""
    if situation.need is not Need.IMAGE:
        return kernel
    return replace(kernel, image=tree_image(kernel.the_tree(), root=situation.root, fetch=situation.fetch))


def tree_image(tree: KernelTree, *, root: Path = Path("/"), fetch: FetchImage | None = None) -> Path:
    """The image of the kernel that `tree` belongs to: built there, installed, or what `fetch` gets. Raises
    `KbuildError` if there is none."""
    try:
        return image_of_tree(tree, root=root)
    except ForeignImage:
        raise
    except KbuildError as error:
        if fetch is not None:
            try:
                return fetch(tree.release, tree)
            except KbuildError:
                if not build_call(tree):
                    raise
        raise KbuildError(_no_image(tree), hint=_image_hint(tree)) from error


def no_trees(situation: Situation, installed: InstalledTrees) -> KbuildError:
    """The error for a system without a kernel tree that could be used."""
    if installed.broken:
        return installed.broken[-1][1]
    return KbuildError(
        "no kernel tree found: no headers are installed, neither of the running kernel "
        f"{situation.running} nor of another one",
        hint=f"{headers_hint()} (or name a kernel tree: KDIR=/path/to/tree)",
    )


def _at(path: Path, situation: Situation) -> ChosenKernel:
    """The kernel whose tree or image is at `path`."""
    reason = "Its path was given."
    if path.is_file() and situation.need is not Need.TREE:
        return ChosenKernel(None, None, path, reason)
    if not path.exists() and not path.is_symlink():
        raise UsageError(
            f"{path}: no such file or directory",
            hint="`kbuildpy kernels` lists the kernel trees that are installed here",
        )
    tree = open_tree(path)
    return with_image(ChosenKernel(tree.release, tree, None, reason), situation)


def _all(situation: Situation) -> list[ChosenKernel]:
    installed = installed_trees(situation.root)
    if installed.broken:
        # The author of a release for all kernels must see at once that a kernel is left out.
        raise installed.broken[0][1]
    kernels = _installed(installed.trees, situation, "All installed kernels are wanted.")
    if not kernels:
        raise KbuildError("no kernel tree found: no kernel headers are installed", hint=headers_hint())
    return [kernel if kernel.tree is None else with_image(kernel, situation) for kernel in kernels]


def _every(found: InstalledTrees, word: str, hint: str, situation: Situation) -> list[ChosenKernel]:
    """All trees of `found`, which are those that `word` means; `hint` says how to get some."""
    if found.broken:
        raise found.broken[0][1]
    if not found.trees:
        raise UsageError(f"-k {word}: no kernel was {word}", hint=hint)
    kernels = [ChosenKernel(tree.release, tree, None, f"All {word} kernels are wanted.") for tree in found.trees]
    return [with_image(kernel, situation) for kernel in kernels]


def _matching(pattern: str, situation: Situation) -> list[ChosenKernel]:
    """The installed, the fetched and the built kernels whose releases match `pattern` of shell's."""
    installed, fetched, built = installed_trees(situation.root), fetched_trees(), built_trees()
    for path, error in (*installed.broken, *fetched.broken, *built.broken):
        if any(fnmatchcase(release, pattern) for release in releases_of_broken(path)):
            raise error
    here = {tree.release for tree in installed.trees}
    trees = [*installed.trees, *(tree for tree in (*fetched.trees, *built.trees) if tree.release not in here)]
    trees.sort(key=lambda tree: release_order(tree.release))
    kernels = _installed(trees, situation, f"Its release matches {pattern}.")
    found = [kernel for kernel in kernels if fnmatchcase(kernel.release or "", pattern)]
    if not found:
        raise UsageError(
            f"-k {pattern}: no installed kernel matches; installed: {_releases(situation)}",
            hint=f"{_WORDS}; `kbuildpy kernels --available` lists others, --fetch gets them",
        )
    return [kernel if kernel.tree is None else with_image(kernel, situation) for kernel in found]


def _installed(trees: Sequence[KernelTree], situation: Situation, reason: str) -> list[ChosenKernel]:
    """`trees` as kernels, and the installed kernels that have only an image where that is enough."""
    kernels = [ChosenKernel(tree.release, tree, None, reason) for tree in trees]
    if situation.need is Need.TREE:
        return kernels
    images = installed_images(situation.root, besides={tree.release for tree in trees})
    return kernels + [ChosenKernel(release, None, image, reason) for release, image in images.items()]


def _missing(release: str, situation: Situation) -> UsageError:
    """The error for a kernel that is not installed, or lacks what is needed."""
    root, running = situation.root, situation.running
    hint = release_hint(release)
    if situation.need is Need.IMAGE:
        hint = image_hint(release)
    if not is_release(release):
        hint = _similar_word(release, situation) or _WORDS
    elif longer := _longer_releases(release, situation):
        hint = f"-k {shlex.quote(f'{release}{longer[0][len(release)]}*')} names {', '.join(longer)}"
    else:
        hint += _without_root(release, " --images" if situation.need is Need.IMAGE else "")
    tree = installed_tree(release, root) or fetched_tree(release)
    if tree is not None:
        return UsageError(_no_image(tree), hint=_image_hint(tree))
    image = _image(release, root)
    if image is not None:
        others = "its headers are not" if situation.need is Need.TREE else "neither its headers nor its modules are"
        return UsageError(f"the image of kernel {release} is installed ({image}), but {others}", hint=hint)
    which = f"{release} (the running one)" if release == running else release
    return UsageError(
        f"no kernel {which} is installed, neither headers nor image; installed: {_releases(situation)}", hint=hint
    )


def _longer_releases(release: str, situation: Situation) -> list[str]:
    """The releases here that begin with `release`, which somebody took for enough (6.12), and go on in one way."""
    longer = [other for other in _releases_here(situation) if re.match(rf"{re.escape(release)}[^0-9]", other)]
    return [other for other in longer if other[len(release)] == longer[0][len(release)]]


def _similar_word(word: str, situation: Situation) -> str:
    """A question with the word, or the release of a kernel here, that is most like `word`; "" for none."""
    words = ("running", "all", FETCHED, BUILT, *situation.more_words)
    # (two letters of three, as in onw, are similar)
    return did_you_mean(word, [*words, *_releases_here(situation)], cutoff=0.65)


def _releases_here(situation: Situation) -> list[str]:
    """The releases of all kernel trees: installed, fetched and built."""
    trees = (*installed_trees(situation.root).trees, *fetched_trees().trees, *built_trees().trees)
    return [tree.release for tree in trees]


def _image(release: str, root: Path) -> Path | None:
    """The image of `release`, with or without modules; None if there is none."""
    try:
        return None if "/" in release else find_kernel_image(release, root=root)
    except KbuildError:
        return None


def _no_image(tree: KernelTree) -> str:
    if build_call(tree):
        return f"the kernel of {tree.objects} ({tree.release}) was not built: there is no image in the tree"
    return f"no image of kernel {tree.release} is installed, only its headers ({tree.objects})"


def _image_hint(tree: KernelTree) -> str:
    if call := build_call(tree):
        return call
    if is_fetched(tree.objects):
        return f"{_FETCH} {shlex.quote(tree.release)} --images"
    return f"{image_hint(tree.release)}{_without_root(tree.release, ' --images')}"


def _without_root(release: str, option: str = "") -> str:
    """What does the same as a command for a package, in parentheses; "" where there is no apt."""
    return f" (without root: {_FETCH} {shlex.quote(release)}{option})" if this_system() in (DEBIAN, UBUNTU) else ""


def _releases(situation: Situation) -> str:
    """The releases of all installed kernels, the newest first; then those that were fetched."""
    trees = [tree.release for tree in installed_trees(situation.root).trees]
    images = installed_images(situation.root, besides=trees)
    found = [*dict.fromkeys(reversed(trees)), *(f"{release} (no headers)" for release in reversed(images))]
    fetched = [tree.release for tree in reversed(fetched_trees().trees)]
    built = [tree.release for tree in reversed(built_trees().trees)]
    others = [f"; {what}: {', '.join(names)}" for what, names in (("fetched", fetched), ("built", built)) if names]
    return (", ".join(found) or "none") + "".join(others)


def _of_image(image: Path) -> str:
    return f"It is installed ({image}); there are no headers of it."
