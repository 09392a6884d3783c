# SPDX-License-Identifier: GPL-2.0-only
"""Modules of one name below lib/modules/RELEASE: which of them modprobe takes."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path

from kbuildpy.kernel.depmod_order import BUILT_IN, SearchOrder, indexed_paths, modules_by_name, search_order
from kbuildpy.kernel.module_files import module_name


def tell_rivals(
    directory: Path,
    installed: Sequence[str],
    *,
    release: str,
    indexed: bool,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> None:
    """Tell which one modprobe takes, where another module has the name of one that was `installed` (paths below
    `directory`, `.../lib/modules/RELEASE`): `say` it of the installed one, `warn` of another.

    `indexed` says that depmod has run since; else it is what depmod would do.
    """
    installed = [posixpath.normpath(path) for path in installed]
    by_name = modules_by_name(directory, {module_name(path) for path in installed})
    rivals = {name: paths for name, paths in by_name.items() if len(paths) > 1}
    if not rivals:
        return
    order = search_order(release)
    known = (indexed_paths(directory) if indexed else None) or {}
    for name, paths in rivals.items():
        taken = known.get(name) or order.winner(paths)
        if taken in installed:
            others = ", ".join(path for path in paths if path != taken)
            say(f"kbuildpy: {name}: modprobe takes {taken}, and not {others}")
        else:
            warn(f"kbuildpy: warning: {rival_sentence(name, paths, taken)}\n  {_hint(name, order)}")


def rival_sentence(name: str, paths: Sequence[str], taken: str | None) -> str:
    """Which one of the modules `paths`, all called `name`, modprobe takes; None: the one that depmod reads first."""
    if taken is None:
        return f"{name}: there are {' and '.join(paths)}: modprobe takes the one that depmod reads first"
    return f"{name}: modprobe takes {taken}, and not {', '.join(path for path in paths if path != taken)}"


def _hint(name: str, order: SearchOrder) -> str:
    first = order.searches[0]
    # (where it searches first what is not named, no directory comes before the other module's)
    folder = f"install it with INSTALL_MOD_DIR={first}, or " if first != BUILT_IN else ""
    searches = " ".join(order.searches)
    return f"depmod searches {searches}: {folder}say `override {name} * DIR` in /etc/depmod.d/{name}.conf"
