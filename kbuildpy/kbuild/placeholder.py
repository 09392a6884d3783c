# SPDX-License-Identifier: GPL-2.0-only
"""The module directory that a kernel tree is asked about in place of a user's.

It has the files that modpost and the final link look for; all but modules.order are empty. The name of its module has a
dash, so that the answer shows where Kbuild replaces dashes by underscores (`-DKBUILD_MODNAME`).
"""

from __future__ import annotations

from pathlib import Path

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree

PLACEHOLDER = "zz-kbuildpy-zz"
"""The name of the module; it is replaced in the tree's answer."""
PLACEHOLDER_FIXED = "zz_kbuildpy_zz"
"""The name with underscores, as C code and the kernel spell it."""


def make_placeholder(tree: KernelTree, directory: Path, *, in_directory: bool) -> None:
    """Create the module directory `directory` with the files that modpost and the final link look for.

    With `in_directory` Kbuild runs there (`builds_in_directory`), and names files relative to it.
    """
    directory.mkdir()
    for name in ("Kbuild", f"{PLACEHOLDER}.o", f"{PLACEHOLDER}.mod.c"):
        (directory / name).touch()
    prefix = "" if in_directory else f"{directory}/"
    # Since 6.3 modules.order names .o files, before it named .ko files.
    names_objects = "%.o=%.ko" in (tree.source / "scripts/Makefile.modfinal").read_text(errors="replace")
    suffix = "o" if names_objects else "ko"
    (directory / "modules.order").write_text(f"{prefix}{PLACEHOLDER}.{suffix}\n")


def builds_in_directory(tree: KernelTree) -> bool:
    """Whether Kbuild runs in the module's directory and not in the tree's object part.

    It does since 6.13, whose top Makefile has KBUILD_EXTMOD_OUTPUT. Raises `KbuildError` for a tree without a Makefile.
    """
    try:
        text = (tree.source / "Makefile").read_text(errors="replace")
    except OSError as error:
        raise KbuildError(
            f"{tree.source}/Makefile: {error.strerror}", hint="the kernel tree's source part is incomplete"
        ) from error
    return "KBUILD_EXTMOD_OUTPUT" in text
