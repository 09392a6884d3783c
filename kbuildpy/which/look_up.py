# SPDX-License-Identifier: GPL-2.0-only
"""From a name to the files that modprobe takes: all steps that need no look into a module.

What is said here, modprobe and depmod of the same system would say too.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from kbuildpy.kernel.command_line import last_value
from kbuildpy.kernel.depmod_scan import NamedFiles
from kbuildpy.which.answer import OK, SKIPPED, STOP, ChainStep, FileOfName, ModuleAnswer
from kbuildpy.which.install_command import command_state
from kbuildpy.which.kmod import Target
from kbuildpy.which.place import KernelPlace
from kbuildpy.which.probe import ProbeResult, ProbeStep, probe
from kbuildpy.which.remarks import about_copies, about_index, about_settings
from kbuildpy.which.unknown_name import unknown_name


class LookedUp(NamedTuple):
    """What was found for one target."""

    answer: ModuleAnswer
    probe: ProbeResult | None
    """None for a name that stands for nothing."""


def look_up(asked: str, place: KernelPlace) -> list[LookedUp]:
    """What modprobe takes `asked` for, and which files and commands that leads to; several for an alias.

    Raises `KbuildError` for an index that is damaged or cannot be read.
    """
    targets = list(dict.fromkeys(place.kmod.look_up(asked)))
    if not targets:
        return [LookedUp(unknown_name(asked, place), None)]
    return [_look_at(asked, target, place) for target in targets]


def _look_at(asked: str, target: Target, place: KernelPlace) -> LookedUp:
    kmod = place.kmod
    probed = probe(kmod, target)
    own = next((step for step in probed.steps if step.target.key == target.key), None)
    built_in = target.built_in or kmod.is_built_in(target.name)
    blacklisted = kmod.blacklisted(target.name)
    names = dict.fromkeys([target.name, *(step.target.name for step in probed.steps)])
    files = place.files(names)
    answer = ModuleAnswer(
        asked=asked,
        kernel=place.release,
        name=target.name,
        alias=target.alias,
        source=target.source,
        built_in=built_in,
        file=own.path if own else "",
        files=_copies(target.name, files, own, place),
        order=probed.steps,
        options=own.options if own else "",
        blacklisted=blacklisted.place if blacklisted else "",
        install=own.command.value if own and own.command and own.kind == "install" else "",
    )
    if built_in:
        step = ChainStep("name", OK, f"{target.name} is built into the kernel: nothing is to be loaded")
        return LookedUp(replace(answer, steps=(step,), findings=tuple(about_settings(answer, place))), probed)
    steps = tuple(_steps(answer, probed, own, place, files))
    findings = (*about_settings(answer, place), *about_index(probed, files, place), *about_copies(answer, files, place))
    return LookedUp(replace(answer, steps=steps, findings=findings), probed)


def _steps(
    answer: ModuleAnswer, probed: ProbeResult, own: ProbeStep | None, place: KernelPlace, files: dict[str, NamedFiles]
) -> Iterator[ChainStep]:
    target = probed.target
    by_alias = f" ({target.source})" if target.alias is not None else ""
    yield ChainStep("name", OK, f"{answer.asked} is {target.name}{by_alias}" if by_alias else f"{target.source}")
    yield _blacklist_step(answer, probed)
    yield _parameters_step(probed, place)
    yield _command_step(own)
    if own is not None and own.kind == "install" and not own.path:
        yield ChainStep("file", SKIPPED, "the command decides")
        return
    yield _file_step(answer, probed, own, place, files)
    yield _dependencies_step(probed, place)


def _blacklist_step(answer: ModuleAnswer, probed: ProbeResult) -> ChainStep:
    if probed.blacklisted is not None:
        return ChainStep(
            "blacklist",
            STOP,
            f"{answer.name} is blacklisted in {probed.blacklisted.place}: modprobe does not load it for an alias",
            f"take that line out, or load it by its name: modprobe {shlex.quote(answer.name)}",
        )
    if answer.blacklisted:
        return ChainStep(
            "blacklist", OK, f"blacklisted in {answer.blacklisted}, which does not count for a module's own name"
        )
    return ChainStep("blacklist", OK, "not blacklisted")


def _parameters_step(probed: ProbeResult, place: KernelPlace) -> ChainStep:
    arguments = place.arguments
    step = partial(ChainStep, "kernel parameters")
    disabled = last_value(arguments, "nomodule")
    if disabled is not None and disabled.lower() not in ("0", "n", "no", "off", "false"):
        return step(STOP, "the kernel was started with nomodule: it loads no modules", "start it without nomodule")
    if place.runs and (place.system.text("/proc/sys/kernel/modules_disabled") or "").strip() == "1":
        return step(STOP, "kernel.modules_disabled is 1: no module is loaded until the next boot", "boot again")
    forbidden = (last_value(arguments, "module_blacklist") or "").split(",")
    for each in probed.steps:
        if each.required and each.target.name in forbidden:
            return step(
                STOP,
                f"the kernel was started with module_blacklist={','.join(forbidden)}: it refuses {each.target.name}",
                "start it without that",
            )
    return step(OK, "the kernel refuses none of the modules by its parameters")


def _command_step(own: ProbeStep | None) -> ChainStep:
    step = partial(ChainStep, "install command")
    if own is None or own.command is None:
        return step(OK, "none")
    command = own.command
    what = f"{command.place} says: install {command.key} {command.value}"
    if own.kind != "install":
        return step(OK, f"{what}; but it has soft dependencies, and then kmod loads it all the same")
    return step(*command_state(what, command.value, own.target.name))


def _file_step(
    answer: ModuleAnswer, probed: ProbeResult, own: ProbeStep | None, place: KernelPlace, files: dict[str, NamedFiles]
) -> ChainStep:
    target = probed.target
    if own is None or not own.path:
        text = f"{target.name} is no module of {place.release}"
        hint = f"which module is meant? modprobe takes no alias for the target of an alias ({target.source})"
        if target.name == "off":
            text, hint = f"{target.source} switches {answer.asked} off", "take that line out"
        elif target.name in files:
            text = f"modprobe does not know {files[target.name].taken}: it was put there after depmod ran"
            hint = place.depmod
        return ChainStep("file", STOP, text, hint)
    if not place.system.exists(own.path):
        found = files.get(target.name)
        where = f"; there is {', '.join(found.paths)}" if found else ""
        return ChainStep("file", STOP, f"{own.path}, which the index names, is not there{where}", place.depmod)
    return ChainStep("file", OK, own.path)


def _dependencies_step(probed: ProbeResult, place: KernelPlace) -> ChainStep:
    step = partial(ChainStep, "dependencies")
    if probed.missing:
        return step(
            STOP,
            f"the index says that it needs {', '.join(probed.missing)}, which is not there: modprobe loads none of "
            "what it needs",
            place.depmod,
        )
    needed = [each for each in probed.steps if each.required and each.target.key != probed.target.key]
    for each in needed:
        if each.kind == "install" and each.command is not None:
            what = f"it needs {each.target.name}, and {each.command.place} says: install {each.command.key} "
            state, text, hint = command_state(f"{what}{each.command.value}", each.command.value, each.target.name)
            if state != OK:
                return step(state, text, hint)
    names = ", ".join(dict.fromkeys(each.target.name for each in needed))
    return step(OK, f"loaded before it: {names}" if names else "it needs no other module")


def _copies(
    name: str, files: dict[str, NamedFiles], own: ProbeStep | None, place: KernelPlace
) -> tuple[FileOfName, ...]:
    found = files.get(name)
    if found is None:
        return ()
    paths = [(path, place.in_system(path)) for path in found.paths]
    indexed = own.path if own else ""
    return tuple(FileOfName(full, full == indexed, path == found.taken) for path, full in paths)
