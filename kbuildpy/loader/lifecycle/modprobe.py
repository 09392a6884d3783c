# SPDX-License-Identifier: GPL-2.0-only
"""modprobe in a script: the modules that a name or an alias selects, and the order in which they are loaded or removed.

Counterpart: kmod (libkmod/libkmod-module.c: __kmod_module_get_probe_list, kmod_module_probe_insert_module;
tools/modprobe.c: rmmod_do_module). The surprise: modprobe ignores a soft dependency that cannot be loaded, but fails
for a dependency.
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
    """A module to load."""

    name: str
    """The name of the module."""
    required: bool
    """Whether modprobe fails if the module cannot be loaded; False for soft dependencies."""


def modprobe(step: ScriptStep, given: str, args: str, load: Load) -> ScriptStep:
    """Load the modules whose name or alias is `given`, each with its dependencies; returns the step afterwards.

    As kmod, it does nothing for modules that are loaded or built in. If one of several modules fails, it loads the next
    one.
    """
    meaning = _meaning(step, given)
    if isinstance(meaning, ScriptStep):
        return meaning
    for name in () if meaning.built_in else meaning.names:
        step = _probe(replace(step, errno=None, reason=None), name, args, load)
    return step


def _meaning(step: ScriptStep, given: str) -> Meaning | ScriptStep:
    """The modules that `given` selects, or the failed step if there are none.

    Only the kernel's own modules are searched, not those that are loaded.
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
    """Load the kernel's own module `name`, and those modules of its probe list that are not loaded yet."""
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
        # kmod ignores the refusal of a soft dependency. After a crash of the kernel, nothing more is loaded.
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
    """Unload the modules whose name or alias is `given`, and dependencies that are unused then; returns the step
    afterwards."""
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
    """Unload the post soft dependencies of `name`, `name` itself, the modules that it used and that nothing else holds,
    and its pre soft dependencies.

    As kmod, it does nothing if `name` is not loaded.
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
    """Unload the soft dependencies `liked` in reverse order; those that cannot be unloaded stay loaded."""
    for given in reversed(liked):
        for name in reversed(_own_modules_named(step.kernel, given)):
            after = _remove(step, name)
            step = after if after.done else step
    return step


def _probe_list(kernel: LoaderKernel, name: str) -> list[ProbedModule]:
    """The modules to load for the module `name`, and `name` itself, each once, in the order of loading.

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
    """The kernel's own modules that `name` selects; none if it is built in."""
    meaning = kernel.own_modules.meaning(name) if kernel.own_modules else None
    return () if meaning is None or meaning.built_in else meaning.names


def _needed(kernel: LoaderKernel, name: str) -> tuple[str, ...]:
    return (kernel.own_modules.needs(name) if kernel.own_modules else None) or ()
