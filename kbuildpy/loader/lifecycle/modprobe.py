# SPDX-License-Identifier: GPL-2.0-only
"""modprobe in a script: the modules that a name stands for, and the order in which they are loaded or removed.

Counterpart: kmod (libkmod/libkmod-module.c: __kmod_module_get_probe_list, kmod_module_probe_insert_module;
tools/modprobe.c: rmmod_do_module). The surprise: a soft dependency may fail to load, a module that
is needed may not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.depmod_indexes import Softdeps
from kbuildpy.kernel.own_modules import Meaning
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.lifecycle.step import Load, ScriptStep, load_contents, unload, unreadable


class ProbedModule(NamedTuple):
    """A module to load, and whether the whole has failed when it cannot be loaded."""

    name: str
    required: bool


def modprobe(step: ScriptStep, given: str, args: str, load: Load) -> ScriptStep:
    """Load the modules that are called `given`, or have it for an alias, each with the modules that it needs.

    kmod prints nothing about modules that are loaded or built in, and goes on to the next when one of several fails.
    """
    meaning = _meaning(step, given)
    if isinstance(meaning, ScriptStep):
        return meaning
    for name in () if meaning.built_in else meaning.names:
        step = _probe(replace(step, errno=None, reason=None), name, args, load)
    return step


def _meaning(step: ScriptStep, given: str) -> Meaning | ScriptStep:
    """The modules that `given` stands for, or the step that fails because there are none.

    (That a module of the name is loaded does not count.)
    """
    if step.kernel.own_modules is None:
        return replace(step, reason=f"the modules of kernel {step.kernel.release} are not known")
    try:
        meaning = step.kernel.own_modules.meaning(given)
    except KbuildError as error:
        return unreadable(step, error)
    if meaning.names:
        return meaning
    reason = f"kernel {step.kernel.release} has no module {given}"
    if step.modules.find(given.replace("-", "_")) is not None:
        reason += ": one is loaded, but modprobe finds only the kernel's own modules"
    return replace(step, errno="ENOENT", reason=reason)


def _probe(step: ScriptStep, name: str, args: str, load: Load) -> ScriptStep:
    """Load the kernel's own module `name`, and those modules of its list that are not loaded yet."""
    if step.modules.find(name) is not None:
        return step
    try:
        probed = _probe_list(step.kernel, name)
    except KbuildError as error:
        return unreadable(step, error)
    for each, required in probed:
        if step.modules.find(each) is not None:
            continue
        after = _load_own(step, each, args if each == name else "", load)
        # (kmod ignores a refusal of one of the others; it does not survive a crash of the kernel)
        undefined = after.errno is None and len(after.verdicts) > len(step.verdicts)
        if not after.done and (required or undefined):
            return after
        step = replace(after, errno=None, reason=None)
    return step


def _load_own(step: ScriptStep, name: str, args: str, load: Load) -> ScriptStep:
    assert step.kernel.own_modules is not None
    try:
        contents = step.kernel.own_modules.contents(name)
    except KbuildError as error:
        return unreadable(step, error)
    if contents is None:
        return replace(step, errno="ENOENT", reason=f"kernel {step.kernel.release} has no module {name}")
    return load_contents(step, contents, args, name, load)


def modprobe_remove(step: ScriptStep, given: str) -> ScriptStep:
    """Unload the modules that are called `given`, or have it for an alias, with those that only they needed."""
    meaning = _meaning(step, given)
    if isinstance(meaning, ScriptStep):
        return meaning
    if meaning.built_in:
        return replace(step, errno="ENOENT", reason=f"{given} is built into kernel {step.kernel.release}")
    for name in meaning.names:
        step = _remove(step, name)
        if not step.done:
            return step
    return step


def _remove(step: ScriptStep, name: str) -> ScriptStep:
    """Unload `name`, then each module that it used and that nothing holds any more; around it, its soft dependencies.

    kmod prints nothing when it is not loaded.
    """
    module = step.modules.find(name)
    if module is None:
        return step
    softdeps = _softdeps(step.kernel, name)
    step = unload(_remove_unused(step, softdeps.post), name, 0)
    if not step.done:
        return step
    for used in module.uses:
        below = step.modules.find(used)
        if below is not None and step.modules.refcount(below) == 0 and not below.is_permanent:
            step = _remove(step, used)
    return _remove_unused(step, softdeps.pre)


def _remove_unused(step: ScriptStep, liked: Sequence[str]) -> ScriptStep:
    """Unload the soft dependencies that can be unloaded, the last first; the others stay."""
    for given in reversed(liked):
        for name in reversed(_own_modules_named(step.kernel, given)):
            after = _remove(step, name)
            step = after if after.done else step
    return step


def _probe_list(kernel: LoaderKernel, name: str) -> list[ProbedModule]:
    """The modules to load for the module `name`, and itself, each once and in order.

    Raises `KbuildError` for a module whose file cannot be read.
    """
    required = {name, *_needed(kernel, name)}
    order: list[str] = []
    visited: set[str] = set()

    def visit(module: str) -> None:
        if module not in visited:
            visited.add(module)
            for each in (*_needed(kernel, module), module):
                fill(each)

    def fill(module: str) -> None:
        softdeps = _softdeps(kernel, module)
        for liked in softdeps.pre:
            for each in _own_modules_named(kernel, liked):
                visit(each)
        order.append(module)
        for liked in softdeps.post:
            for each in _own_modules_named(kernel, liked):
                visit(each)

    visit(name)
    return [ProbedModule(module, module in required) for module in dict.fromkeys(order)]


def _softdeps(kernel: LoaderKernel, name: str) -> Softdeps:
    """The soft dependencies of the kernel's own module `name`."""
    return kernel.own_modules.softdeps(name) if kernel.own_modules else Softdeps()


def _own_modules_named(kernel: LoaderKernel, name: str) -> tuple[str, ...]:
    """The kernel's own modules that `name` stands for; none for one that is built in."""
    meaning = kernel.own_modules.meaning(name) if kernel.own_modules else None
    return () if meaning is None or meaning.built_in else meaning.names


def _needed(kernel: LoaderKernel, name: str) -> tuple[str, ...]:
    return (kernel.own_modules.needs(name) if kernel.own_modules else None) or ()
