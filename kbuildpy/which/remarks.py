# SPDX-License-Identifier: GPL-2.0-only
"""What is worth knowing about a module's files, and about what the system's settings say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from kbuildpy.kernel.boot_loads import boot_loads
from kbuildpy.kernel.depmod_scan import NamedFiles
from kbuildpy.kernel.shell_pattern import with_underscores
from kbuildpy.which.answer import ModuleAnswer, WhichFinding
from kbuildpy.which.install_command import loads_nothing
from kbuildpy.which.place import KernelPlace
from kbuildpy.which.probe import ProbeResult


def about_settings(answer: ModuleAnswer, place: KernelPlace) -> Iterator[WhichFinding]:
    """What else the system's settings say of the module."""
    if answer.blacklisted and answer.alias is None:
        yield WhichFinding(
            "blacklist",
            f"blacklisted in {answer.blacklisted}: udev and modules-load.d do not load it, modprobe does",
        )
    for each in boot_loads(place.system):
        if with_underscores(each.name) in (answer.name, answer.asked):
            yield WhichFinding("boot", f"loaded at boot because of {each.file}{f':{each.line}' if each.line else ''}")
    soft, line = place.kmod.soft(answer.name)
    for name in chain(*soft):
        if line is not None and not place.kmod.look_up(name):
            yield WhichFinding("soft-dependency", f"{line.place} names {name}, which this kernel does not have")
    if (weak := place.kmod.weak(answer.name)) is not None:
        yield WhichFinding("weak-dependency", f"{weak.place}: it may load {weak.value.strip()} by itself")
    for step in answer.order:
        if step.kind == "install" and not step.required and step.command and loads_nothing(step.command.value):
            yield WhichFinding("soft-dependency", f"{step.target.name} is not loaded: {step.command.place}")


def about_index(probed: ProbeResult, files: dict[str, NamedFiles], place: KernelPlace) -> Iterator[WhichFinding]:
    """Where the index is not what depmod would write now."""
    for step in probed.steps:
        found = files.get(step.target.name)
        if not step.path:
            continue
        if found is None:
            if place.system.exists(step.path):
                yield WhichFinding(
                    "stale-index", f"depmod would leave {step.path} out now, which modprobe takes", place.depmod
                )
        elif place.in_system(found.taken) != step.path:
            yield WhichFinding(
                "stale-index",
                f"modprobe takes {step.path}, and depmod would now take {place.in_system(found.taken)}",
                place.depmod,
            )
        elif _is_newer(step.path, place):
            yield WhichFinding(
                "stale-index",
                f"{step.path} was written after depmod ran: what it needs, and its aliases, may have changed",
                place.depmod,
            )


def _is_newer(path: str, place: KernelPlace) -> bool:
    try:
        index = place.system.real(f"{place.directory}/modules.dep.bin").stat().st_mtime_ns
        return place.system.real(path).stat().st_mtime_ns > index
    except OSError:
        return False


def about_copies(answer: ModuleAnswer, files: dict[str, NamedFiles], place: KernelPlace) -> Iterator[WhichFinding]:
    """Why one of several files is taken."""
    found = files.get(answer.name)
    if found is None or len(found.paths) < 2:
        return
    others = [path for path in found.paths if path != found.taken]
    searches = " ".join(place.order.searches)
    if place.order.winner(found.paths) is None:
        why = "and only the order in which the file system tells them decides"
        hint = f"remove one, or say `override {answer.name} * DIR` in /etc/depmod.d/{answer.name}.conf"
    else:
        why, hint = f"because depmod.d says: {_why(found, place.order.overrides, searches)}", ""
    yield WhichFinding("other-copy", f"depmod takes {found.taken}, not {', '.join(others)}, {why}", hint)


def _why(found: NamedFiles, overrides: Sequence[str], searches: str) -> str:
    folder, _, name = found.taken.rpartition("/")
    if f"{folder}/{name.partition('.')[0]}" in overrides:
        return f"override {name.partition('.')[0]} in {folder}"
    return f"search {searches}"
