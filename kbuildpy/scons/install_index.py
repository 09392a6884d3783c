# SPDX-License-Identifier: GPL-2.0-only
"""depmod as a node: `modules.dep` of a directory lib/modules/RELEASE, made from the modules installed there."""

from __future__ import annotations

from typing import Any

from kbuildpy.install.beneath import check_index
from kbuildpy.install.depmod import depmod_runs, depmod_title, run_depmod
from kbuildpy.kbuild.stamps import digest, stamp
from kbuildpy.kernel.installing import InstallRules
from kbuildpy.say import complain
from kbuildpy.scons.actions import KbuildAction, bind
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.session import Session


def declare_index(
    env: Any, session: Session, project: KernelProject, rules: InstallRules, root: str, installed: Any
) -> None:
    """Let depmod run below `root` after the module `installed` (a node) and after all others, if any is made."""
    if not depmod_runs(rules, root):
        return
    place = f"{root}{rules.modlib}"
    index = session.indexes.get(place)
    if index is not None:
        index.add_source([installed])
        index.get_executor().add_sources([installed])
        return

    def run(targets: list[Any], sources: list[Any]) -> None:
        check_index(rules, root)
        said = run_depmod(rules, root, rules.environment_for(project.environ, root))
        if said:
            complain(said)

    index = session.indexes[place] = file_node(env, f"{place}/modules.dep")
    signature = digest(rules.depmod, stamp(rules.system_map))
    bind(env, [index], [installed], KbuildAction(run, title=depmod_title(rules, root), signature=signature))
    # It tells of other modules as well.
    index.set_precious()
    index.set_noclean()
    index.set_nocache()
    env.Alias("install", index)
