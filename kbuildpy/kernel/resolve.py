# SPDX-License-Identifier: GPL-2.0-only
"""What a command line and an environment name -> the kernels that are meant, each with the reason.

This is the only place that decides which kernel is taken; every command and the SCons tool ask it, and say only what
they need of a kernel (`Need`). The command line comes first: `-k`, KDIR=, KERNELRELEASE=. Where it names no kernel,
KDIR of the environment decides, then KERNELRELEASE of the environment, then the running kernel, then the newest tree
installed, and where none is, the newest one fetched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kbuildpy.errors import UsageError
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.chosen import ChosenKernel, FetchImage, Need
from kbuildpy.kernel.fetched import fetched_trees
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel.words import Situation, installed_kernel, kernel_of_release, kernels_of_word, no_trees, with_image

_NOTHING: Mapping[str, str] = {}


def resolve(
    words: Sequence[str],
    need: Need,
    *,
    variables: Mapping[str, str] = _NOTHING,
    environ: Mapping[str, str] = _NOTHING,
    root: Path = Path("/"),
    running: str = "",
    fetch: FetchImage | None = None,
    more_words: Sequence[str] = (),
) -> list[ChosenKernel]:
    """The kernels that `words` (`-k`) name, in that order, each once; with none, the one that is the default.

    `variables` are those of the command line, of which KDIR and KERNELRELEASE count; `environ` is the environment.
    Installed kernels are looked for below `root`, fetched ones in the user's cache; `running` is the running kernel's
    release (default: `uname -r`). `fetch` gets images that are not installed. `more_words` are those that the command
    knows by itself: errors suggest them, too. Raises `UsageError` for a word that names no kernel and for a command
    line that contradicts itself, `KbuildError` for a kernel that cannot be used, and for none at all.
    """
    situation = Situation(need, root, running or os.uname().release, fetch, more_words)
    kdir, release = variables.get("KDIR", ""), variables.get("KERNELRELEASE", "")
    if words:
        found = _once(kernel for word in words for kernel in kernels_of_word(word, situation))
        if kdir and [kernel.tree and kernel.tree.objects for kernel in found] != [open_tree(kdir).objects]:
            raise UsageError(
                f"-k {' -k '.join(words)} and KDIR={kdir} name different kernel trees",
                hint="use one of them: -k also takes a path, and may repeat",
            )
    elif kdir or release:
        found = [_of_variables(kdir, release, situation)]
    elif environ.get("KDIR") or environ.get("KERNELRELEASE"):
        found = [_of_variables(environ.get("KDIR", ""), environ.get("KERNELRELEASE", ""), situation)]
    else:
        found = [_default(situation)]
    for kernel in found if release else ():
        _check_release(kernel, release)
    return found


def resolve_one(
    words: Sequence[str],
    need: Need,
    *,
    variables: Mapping[str, str] = _NOTHING,
    environ: Mapping[str, str] = _NOTHING,
    root: Path = Path("/"),
    running: str = "",
) -> ChosenKernel:
    """The same for a command that takes one kernel. Raises `UsageError` for several, too."""
    found = resolve(words, need, variables=variables, environ=environ, root=root, running=running)
    if len(found) > 1:
        releases = ", ".join(kernel.release or str(kernel.image) for kernel in found)
        raise UsageError(f"-k {' -k '.join(words)}: one kernel at a time, not {len(found)}: {releases}")
    return found[0]


def resolve_release(
    release: str, need: Need, *, root: Path = Path("/"), running: str = "", fetch: FetchImage | None = None
) -> ChosenKernel:
    """The kernel called `release`, as a module says that it was built for it.

    A module may contain any word there, so it is never taken for a path, which could be a malicious tree, nor for
    another word of `-k`. Raises what `resolve` raises.
    """
    return kernel_of_release(release, Situation(need, root, running or os.uname().release, fetch))


def _of_variables(kdir: str, release: str, situation: Situation) -> ChosenKernel:
    if kdir:
        tree = open_tree(kdir)
        chosen = ChosenKernel(tree.release, tree, None, f"KDIR names {kdir}.", by_kdir=True)
        return with_image(chosen, situation)
    return replace(kernel_of_release(release, situation), reason=f"KERNELRELEASE names {release}.")


def _default(situation: Situation) -> ChosenKernel:
    running = installed_kernel(situation.running, situation)
    if running is not None:
        return running
    installed = installed_trees(situation.root)
    trees, whose = installed.trees, "installed"
    if not trees and not installed.broken:
        trees, whose = fetched_trees().trees, "fetched"
    if not trees:
        raise no_trees(situation, installed)
    native = [tree for tree in trees if is_native(architecture_of(tree))]
    newest: KernelTree = (native or trees)[-1]
    unusable = f" (left out {', '.join(str(path) for path, _ in installed.broken)})" if installed.broken else ""
    reason = (
        f"The running kernel {situation.running} has no headers installed; took the newest tree {whose}{unusable}: "
        f"{newest.release} ({newest.objects})."
    )
    return with_image(ChosenKernel(newest.release, newest, None, reason), situation)


def _check_release(kernel: ChosenKernel, release: str) -> None:
    """Refuse a kernel that is not of `release` where the same command line names both."""
    if kernel.release != release:
        place = kernel.tree.objects if kernel.tree else kernel.image
        raise UsageError(
            f"KERNELRELEASE={release}, but the named kernel tree is for {kernel.release} ({place})",
            hint="name the kernel once: its tree (KDIR, -k) or its release (KERNELRELEASE, -k)",
        )


def _once(kernels: Iterable[ChosenKernel]) -> list[ChosenKernel]:
    found: dict[Path, ChosenKernel] = {}
    for kernel in kernels:
        found.setdefault(kernel.place, kernel)
    return list(found.values())
