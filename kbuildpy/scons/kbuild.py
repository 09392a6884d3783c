# SPDX-License-Identifier: GPL-2.0-only
"""`env.Kbuild()`: every module of an existing Kbuild file, as nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kbuildpy.errors import UsageError
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.builder_call import stop_on_error
from kbuildpy.scons.call_arguments import kbuild_directories
from kbuildpy.scons.declare_directory import declare_directory
from kbuildpy.scons.declared_again import declared_again, for_kernel
from kbuildpy.scons.file_node import file_node
from kbuildpy.scons.find_project import find_project, output_root, variant_output


def kbuild(env: Any, directory: Any = None, *, source: Any = None, target: Any = None, **variables: Any) -> list[Any]:
    """Declare every module of the Kbuild file in `directory` (or in several); the nodes of their `.ko`s. `source` is
    another word for `directory`, and `directory` may be the Kbuild file itself.

    Keywords are variables for Kbuild, as on make's command line (`HDAPS=1`); KDIR chooses another kernel tree.
    """

    def declare() -> list[Any]:
        if target is not None:
            hint = "the Kbuild file names the modules; KBUILD_OUT, or a VariantDir(), chooses the output directory"
            raise UsageError(f"Kbuild: target={target!r}: a directory has no target", hint=hint)
        places = kbuild_directories(env, source if directory is None else directory)
        return [node for place in places for node in _of_directory(env, place, variables)]

    return stop_on_error(declare)


def _of_directory(env: Any, place: Any, variables: Mapping[str, Any]) -> list[Any]:
    return declared_again(
        env, lambda kernel: _kbuild(env, place, for_kernel(variables, kernel) if kernel else variables)
    )


def _kbuild(env: Any, node: Any, variables: Mapping[str, Any]) -> list[Any]:
    project = find_project(env, variables)
    top = session_of(env).top
    source = node.srcnode()
    folder = Path(source.get_abspath())
    folder = folder.resolve() if folder.is_dir() else folder
    if source != node:
        out = variant_output(env, node, project)
    else:
        inside = top in folder.parents
        below = folder.relative_to(top) if inside else Path(folder.name)
        out = output_root(env, project, variables) / ("" if folder == top else below)
    group = declare_directory(env, folder, out, variables=variables)
    return [file_node(env, f"{out}/{layout.relative(module.name)}.ko") for module, layout in group.modules]
