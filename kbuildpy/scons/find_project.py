# SPDX-License-Identifier: GPL-2.0-only
"""Which kernel tree, variables and output directory a declaration means: its own keywords before the command line, that
before the construction environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from SCons.Script import ARGUMENTS

from kbuildpy.coverage.place import instrumented_place
from kbuildpy.scons.begin_session import session_of
from kbuildpy.scons.keywords import directory_path
from kbuildpy.scons.options import is_silent
from kbuildpy.scons.project import KernelProject
from kbuildpy.scons.variables import NOT_FOR_MAKE, build_environment, environment_variables, make_variables, text_of


def find_project(env: Any, variables: Mapping[str, Any]) -> KernelProject:
    """The project that `variables` (a declaration's keywords), the command line and `env` choose, with the answers to
    the probes that were declared for it."""
    project = find_plain_project(env, variables)
    probes = session_of(env).probes.get(project)
    return probes.answered(env) if probes else project


def find_plain_project(env: Any, variables: Mapping[str, Any]) -> KernelProject:
    """The same without its probes: they are asked in it."""
    session = session_of(env)

    def chosen(name: str) -> str:
        values = (place.get(name) for place in (variables, ARGUMENTS, env, os.environ))
        return text_of(next((value for value in values if value is not None), ""))

    kdir, release = _named_kernel(env, variables, ARGUMENTS)
    tree = session.find_tree(kdir, release, quiet=is_silent(env))
    environ = build_environment(env, session.default_environment)
    given = make_variables({**environment_variables(env), **ARGUMENTS}, variables)
    # For Kbuild, CHECK is the program that C=1 runs; 0 is not a program.
    check = chosen("CHECK") != "0"
    if not check:
        given.pop("CHECK", None)
        environ.pop("CHECK", None)
    btf_threads, coverage, fast = (chosen(name) not in ("", "0") for name in NOT_FOR_MAKE)
    for place in (given, environ):
        for name in NOT_FOR_MAKE:
            place.pop(name, None)
    return session.project(
        env, tree, given, environ, check=check, btf_threads=btf_threads, fast=fast, coverage=coverage
    )


def _named_kernel(env: Any, variables: Mapping[str, Any], arguments: Mapping[str, Any]) -> tuple[str, str]:
    """KDIR and KERNELRELEASE as the first place has them that has either: one in the environment says nothing where the
    command line names a kernel."""
    for place in (variables, arguments, env, os.environ):
        kdir, release = place.get("KDIR"), str(place.get("KERNELRELEASE") or "")
        if kdir and place is os.environ:
            release = ""
        if kdir or release:
            typed = place is not variables and place is not env
            return directory_path(env, kdir, typed=typed, call="KDIR") if kdir else "", release
    return "", ""


def output_root(env: Any, project: KernelProject, variables: Mapping[str, Any]) -> Path:
    """Where modules for the kernel of `project` come out: KBUILD_OUT, or build/, and the release. Instrumented modules
    never mix with others."""
    given, typed = variables.get("KBUILD_OUT"), ARGUMENTS.get("KBUILD_OUT")
    if given is None and typed is not None:
        root = directory_path(env, typed, typed=True, call="KBUILD_OUT")
    else:
        root = directory_path(env, given or env.get("KBUILD_OUT") or "#build", typed=False, call="KBUILD_OUT")
    return _folder_below(Path(root), env, project)


def variant_output(env: Any, folder: Any, project: KernelProject) -> Path:
    """The same for modules of a VariantDir(), whose node is `folder`."""
    return _folder_below(Path(folder.get_abspath()), env, project)


def _folder_below(root: Path, env: Any, project: KernelProject) -> Path:
    return session_of(env).output_folder(instrumented_place(root) if project.coverage else root, project.tree)
