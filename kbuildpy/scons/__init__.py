"""The SCons tool: turns a plan into nodes. The only room that imports SCons.

env = Environment(tools=["default", "kbuild"])
env.KernelModule("hello", ["hello.c"])
env.Kbuild("third_party/v4l2loopback")
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

BUILDERS = {
    "KernelModule": ("kernel_module", "kernel_module"),
    "Kbuild": ("kbuild", "kbuild"),
    "CheckModule": ("check_module", "check_module"),
    "SignModule": ("sign_module", "sign_module"),
    "InstallModules": ("install_modules", "install_modules"),
    "RunModule": ("run_module", "run_module"),
}
"""Every builder with the file and the function that do it."""


def generate(env: Any, **_: Any) -> None:
    """Add the builders to a construction environment (SCons calls this for `tools=["kbuild"]`)."""
    from kbuildpy.scons import help, sconsign, variables  # (slow: SCons)

    sconsign.use_database()
    variables.mark_tool_choices(env)
    help.describe_variables(env)
    for name, (file, function) in BUILDERS.items():
        env.AddMethod(_imported_when_called(file, function), name)


def _imported_when_called(file: str, function: str) -> Callable[..., Any]:
    """The function of a file beside this one: what signs and installs takes 15 ms to import, and most runs do not."""

    def call(env: Any, *args: Any, **keywords: Any) -> Any:
        return getattr(import_module(f"kbuildpy.scons.{file}"), function)(env, *args, **keywords)

    return call


def exists(env: Any) -> bool:
    """Whether the tool can work here at all: it needs GNU make."""
    return bool(env.WhereIs("make") or env.Detect("make"))
