# SPDX-License-Identifier: GPL-2.0-only
"""Whether modules are checked after their link (`post_build_check`, which takes the loader's rules to import)."""

from __future__ import annotations

import functools

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.loader.known import is_loader_known
from kbuildpy.scons.project import KernelProject


@functools.lru_cache(maxsize=8)
def check_is_wanted(project: KernelProject) -> bool:
    """Whether modules that are built for `project` are checked: not with CHECK=0, nor for a kernel whose loader is not
    known.

    Asked for each module also when there is nothing to do, and the tree's configuration is read for the answer.
    """
    return project.check and loader_is_known(project)


def loader_is_known(project: KernelProject) -> bool:
    """Whether the rules of the kernel's loader are known here."""
    return is_loader_known(project.tree.version, str(architecture_of(project.tree)))
