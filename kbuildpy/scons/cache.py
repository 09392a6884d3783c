# SPDX-License-Identifier: GPL-2.0-only
"""SCons' shared cache of built files (`CacheDir`), made right for kernel modules.

SCons names a cached file after its action and its dependencies. Kernel headers are not among these, so their state goes
into the name here. The headers of the module that an object includes are known only after its compilation, so a file
from the cache is checked before it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import SCons.Action

from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.scons.actions import KbuildAction

_LEFT_OUT = frozenset({"Documentation", "tools", "samples", ".git"})


def cache_class(base: type, state: Callable[[], str]) -> type:
    """The class of a cache whose entries belong to a kernel tree in the state that `state` tells when asked."""

    class KernelCacheDir(base):  # type: ignore[misc]
        def cachepath(self, node: Any) -> tuple[Any, Any]:
            folder, path = super().cachepath(node)
            return folder, path and f"{path}-{state()}"

        def retrieve(self, node: Any) -> bool:
            actions = [action for action in node.get_executor().get_action_list() if isinstance(action, KbuildAction)]
            for action in actions:
                action.begin()
            # All targets of an action go by the headers that are known now, not by those that are known after it has
            # run.
            for peer in getattr(node, "target_peers", None) or ():
                peer.get_cachedir_bsig()
            if not super().retrieve(node):
                return False
            if SCons.Action.execute_actions and not all(action.accept(node) for action in actions):
                node.fs.unlink(node.get_internal_path())
                return False
            return True

    return KernelCacheDir


def tree_state(tree: KernelTree) -> str:
    """A digest of every header of a kernel tree (generated ones, and so the configuration, among them)."""
    found: list[tuple[str, object]] = []
    seen: set[str] = set()
    for top in dict.fromkeys((tree.source, tree.objects)):
        for folder, names, files in os.walk(top, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                names.clear()
                continue
            seen.add(real)
            names[:] = sorted(name for name in names if name not in _LEFT_OUT)
            paths = [f"{folder}/{name}" for name in sorted(files) if name.endswith((".h", ".lds"))]
            found += [(path, stamp(path)) for path in paths]
    return digest(found)
