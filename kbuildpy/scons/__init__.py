# SPDX-License-Identifier: GPL-2.0-only
"""The SCons tool: turns a plan into nodes. The only room that imports SCons.

env = Environment(tools=["default", "kbuild"])
env.KernelModule("hello", ["hello.c"])
env.Kbuild("third_party/v4l2loopback")

Each builder is a file of its name: `kernel_module`, `kbuild`, `lint_module`, `check_module`, `sign_module` (with
`signers`), `install_modules` (with `install_index`), `module_package`, `run_module` (with `run_in_kernel`),
`kernel_probe` (with `probed`). Their arguments are checked in `call_arguments`, `keywords` and `builder_call`;
`variables` and `flags` say which are Kbuild's.

From below:
- `actions`: an action with a signature, and how it gets on a node. `contents`: signatures of files. `sconsign`: SCons'
  database. `cache`: SCons' CacheDir. `unfinished`, `interrupts`, `cleaning`, `options`: what a run may meet.
- `project` (a kernel tree under one set of variables), `group` (the modules of one output directory) and `session` (a
  run) are data. `find_project` and `find_group` choose them for a declaration; `begin_session` and `end_session` frame
  the run. `begin_tool`: what each environment gets besides its builders.
- `object_nodes`, `module_nodes`, `group_nodes`: from sources to objects, to `.ko`s, and to `Module.symvers`;
  `declare_directory` for a whole Kbuild file. Why a target is made (`V=2`): `group_reasons`, with `reasons` and
  `origins_of_flags`. What their actions do: `kbuild/compile`, `call_modpost`, `link_module`,
  `post_build_check`.

- `declare_targets`: single targets (`x.i`), which `single_target_words` finds on the command line beside the names of
  modules (`named_targets`). `compilation_database`: what `env.CompilationDatabase()` writes for them.

`kbuildpy build` has no SConstruct: `standalone` checks the call, `run_standalone` runs SCons over one of ours, and
`outcomes` tells what came of it. `keep_compile_commands` writes the compile commands that it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

BUILDERS = {
    "KernelModule": ("kernel_module", "kernel_module"),
    "Kbuild": ("kbuild", "kbuild"),
    "LintModule": ("lint_module", "lint_module"),
    "CheckModule": ("check_module", "check_module"),
    "SignModule": ("sign_module", "sign_module"),
    "InstallModules": ("install_modules", "install_modules"),
    "ModulePackage": ("module_package", "module_package"),
    "RunModule": ("run_module", "run_module"),
    "KernelProbe": ("kernel_probe", "kernel_probe"),
}
"""Every builder with the file and the function that do it."""


def generate(env: Any, **_: Any) -> None:
    """Add the builders to a construction environment (SCons calls this for `tools=["kbuild"]`)."""
    from kbuildpy.scons.begin_tool import begin_tool  # (slow: SCons)

    begin_tool(env)
    for name, (file, function) in BUILDERS.items():
        env.AddMethod(_imported_when_called(file, function), name)


def _imported_when_called(file: str, function: str) -> Callable[..., Any]:
    """The function of a file beside this one: the files that sign and install take 15 ms to import, and most runs do
    neither."""

    def call(env: Any, *args: Any, **keywords: Any) -> Any:
        return getattr(import_module(f"kbuildpy.scons.{file}"), function)(env, *args, **keywords)

    return call


def exists(env: Any) -> bool:
    """Whether the tool can work here at all: it needs GNU make."""
    return bool(env.WhereIs("make") or env.Detect("make"))
