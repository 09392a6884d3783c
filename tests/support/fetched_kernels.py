# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that apt offers, fetched: ten with their images, those that are installed among them; a flavour of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.ask_module_facts import ask_module_facts
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.chosen import ChosenKernel, Need
from kbuildpy.kernel.fetched import fetched_root
from kbuildpy.kernel.find import installed_trees
from kbuildpy.kernel.offered import offered_kernels
from kbuildpy.kernel.open_tree import open_tree
from kbuildpy.kernel.resolve import resolve
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.kernels.from_chosen import loader_kernel
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import tree_of

TEN = 10
CACHE = "KBUILDPY_TEN_KERNELS"
"""The environment's name for a cache that has the kernels already."""


@contextmanager
def ten_kernels(scratch: Path) -> Iterator[list[ChosenKernel]]:
    """Ten kernels, while the user's cache is one below `scratch`, or that of the environment. Skips the test where apt
    does not offer enough."""
    here = {tree.release for tree in installed_trees().trees if is_native(architecture_of(tree))}
    try:
        offered = [item for item in offered_kernels() if item.headers and item.image and item.release not in here]
    except KbuildError as error:
        pytest.skip(f"apt offers nothing: {error}")
    wanted = TEN - len(here)
    if len(offered) < wanted:
        pytest.skip(f"apt offers {len(offered)} other kernels")
    # (of all flavours and lines)
    chosen = [item.release for item in offered[:: len(offered) // wanted][:wanted]]
    cache = Path(os.environ.get(CACHE) or scratch / "cache")
    cache.mkdir(mode=0o700, exist_ok=True)
    with mock.patch.dict(os.environ, {"KBUILDPY_CACHE": str(cache)}):
        words = [word for release in chosen for word in ("--fetch", release)]
        done = kbuildpy("kernels", "--images", *words)
        assert done.returncode == 0, done.error_text
        yield resolve([*sorted(here), *chosen], Need.EITHER, environ=os.environ)


def facts_of(kernel: ChosenKernel) -> LoaderKernel:
    """The facts of `kernel`, its compiler asked."""
    return loader_kernel(kernel, partial(ask_module_facts, environ=os.environ))


def flavour_tree(line: str, flavour: str) -> KernelTree:
    """The tree of a flavour (`cloud`, `rt`) of the installed kernel of a line, fetched. Skips the test where it is not
    to be had."""
    release = tree_of(line).release.replace("-amd64", f"-{flavour}-amd64")
    done = kbuildpy("kernels", "--fetch", release)
    if done.returncode:
        pytest.skip(f"{release} is not to be had: {done.error_text.strip()}")
    return open_tree(fetched_root() / "usr/src" / f"linux-headers-{release}")
