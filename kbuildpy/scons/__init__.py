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
    "KernelModule": ("builders", "kernel_module"),
    "Kbuild": ("builders", "kbuild"),
    "CheckModule": ("verdicts", "check_module"),
    "SignModule": ("signing", "sign_module"),
    "InstallModules": ("installing", "install_modules"),
    "RunModule": ("running", "run_module"),
}
"""Every builder with the file and the function that do it."""


def generate(env: Any, **_: Any) -> None:
    """Add the builders to a construction environment (SCons calls this for `tools=["kbuild"]`)."""
    from kbuildpy.scons import notes, variables

    notes.use_notes()
    variables.mark_tool_choices(env)
    if is_help_wanted(env):
        from kbuildpy.scons.help import describe_variables

        describe_variables(env)
    for name, (file, function) in BUILDERS.items():
        env.AddMethod(_imported_when_called(file, function), name)


def _imported_when_called(file: str, function: str) -> Callable[..., Any]:
    """The function of a file beside this one: what signs and installs takes 15 ms to import, and most runs do not."""

    def call(env: Any, *args: Any, **keywords: Any) -> Any:
        return getattr(import_module(f"kbuildpy.scons.{file}"), function)(env, *args, **keywords)

    return call


def is_help_wanted(env: Any) -> bool:
    """Whether this is `scons -h`."""
    option = getattr(env, "GetOption", None)
    return option is not None and bool(option("help"))


def exists(env: Any) -> bool:
    """Whether the tool can work here at all: it needs GNU make."""
    return bool(env.WhereIs("make") or env.Detect("make"))
