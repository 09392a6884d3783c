"""The SCons tool: turns a plan into nodes. The only room that imports SCons.

env = Environment(tools=["default", "kbuild"])
env.KernelModule("hello", ["hello.c"])
env.Kbuild("third_party/v4l2loopback")
"""

from __future__ import annotations

from typing import Any


def generate(env: Any, **_: Any) -> None:
    """Add the builders to a construction environment (SCons calls this for `tools=["kbuild"]`)."""
    from kbuildpy.scons import builders, installing, notes, running, signing, variables, verdicts

    notes.use_notes()
    variables.mark_tool_choices(env)
    if is_help_wanted(env):
        from kbuildpy.scons.help import describe_variables

        describe_variables(env)
    env.AddMethod(builders.kernel_module, "KernelModule")
    env.AddMethod(builders.kbuild, "Kbuild")
    env.AddMethod(verdicts.check_module, "CheckModule")
    env.AddMethod(signing.sign_module, "SignModule")
    env.AddMethod(installing.install_modules, "InstallModules")
    env.AddMethod(running.run_module, "RunModule")


def is_help_wanted(env: Any) -> bool:
    """Whether this is `scons -h`."""
    option = getattr(env, "GetOption", None)
    return option is not None and bool(option("help"))


def exists(env: Any) -> bool:
    """Whether the tool can work here at all: it needs GNU make."""
    return bool(env.WhereIs("make") or env.Detect("make"))
