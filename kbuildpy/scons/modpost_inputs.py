# SPDX-License-Identifier: GPL-2.0-only
"""modpost's inputs besides the module objects: its command, and the symvers of other modules."""

from __future__ import annotations

import os
from pathlib import Path

from kbuildpy import __version__
from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kernel.output_folder import output_folder
from kbuildpy.scons.group import Group
from kbuildpy.scons.group_actions import described
from kbuildpy.scons.recipe import Recipe


def modpost_signature(group: Group) -> str:
    """A digest of modpost's inputs that are not nodes."""
    answer = group.project.answer
    return digest(__version__, answer.identity, _command(group), stamp(answer.tree.symvers))


def modpost_description(group: Group) -> str:
    """The same as text."""
    symvers = group.project.tree.symvers
    return "\n".join(
        [f"modpost of kbuildpy {__version__} for: {_command(group)}", *described([(str(symvers), stamp(symvers))])]
    )


def modpost_recipe(group: Group) -> Recipe:
    """What decides what modpost writes, besides its sources; it is stored only where modpost had nothing to say, for a
    build that takes it says nothing."""
    answer = group.project.answer

    def words() -> list[str]:
        names = [layout.nominal(module.name) for module, layout in group.modules]
        settings = (group.directory, answer.compiler, *names, *group.extra_symbols)
        return ["modpost", *settings, *group.project.program_digests([answer.programs.get("CC", "")])]

    recipe = Recipe(
        group.project.headers_digest, [_command(group)], words, lambda: [str(answer.tree.symvers)], root=group.root
    )
    recipe.may_share = lambda: group.modpost_result is not None and not group.modpost_printed
    return recipe


def find_symvers(group: Group, name: str, *, cwd: str) -> str:
    """The file that `name` in KBUILD_EXTRA_SYMBOLS means to `group`; Kbuild looks for it in `cwd`.

    Kbuild leaves a `Module.symvers` beside the sources; ours is in `build/RELEASE` there, or is about to be made.
    The one that was built for the same release is preferred, unless make has written the one beside them since.
    """
    path = os.path.normpath(os.path.join(cwd, name))  # noqa: PTH118
    folder, base = os.path.split(path)
    if base != "Module.symvers":
        return path
    tree = group.project.tree
    for other in group.neighbours.values():
        if other.project.tree == tree and folder in (other.directory, other.out):
            return f"{other.out}/Module.symvers"
    ours = output_folder(Path(folder, "build"), tree) / base
    return str(ours) if ours.is_file() and stamp(ours)[0] >= stamp(path)[0] else path


def _command(group: Group) -> str:
    answer = group.project.answer
    return answer.modpost.command.replace(answer.placeholder, "")
