# SPDX-License-Identifier: GPL-2.0-only
"""A name that modprobe takes for nothing: what may have been meant."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from kbuildpy.kernel.depmod_scan import scan_modules
from kbuildpy.kernel.shell_pattern import with_underscores
from kbuildpy.similar import did_you_mean
from kbuildpy.which.answer import STOP, ChainStep, FileOfName, ModuleAnswer
from kbuildpy.which.place import KernelPlace, find_place, releases_of


def unknown_name(asked: str, place: KernelPlace) -> ModuleAnswer:
    """The answer for a name that stands for nothing, with what may have been meant."""
    name = with_underscores(asked)
    step = partial(ChainStep, "name", STOP)
    answer = ModuleAnswer(asked=asked, kernel=place.release)
    if name is None:
        return replace(answer, steps=(step(f"{asked} has a bracket too many", "name a module or an alias"),))
    files = scan_modules(place.system, place.directory, place.order, {name})
    text = f"modprobe finds nothing that is called {asked} in {place.directory}"
    if place.kmod.index("dep") is None:
        text = f"there is no {place.directory}/modules.dep.bin, which modprobe reads"
        if scan_modules(place.system, place.directory, place.order):
            return replace(answer, steps=(step(text, place.depmod),))
        hint = "only its headers are here, it seems: install the kernel"
        return replace(answer, steps=(step(f"{text}, and no modules", hint),))
    if name in files:
        found = files[name]
        text = f"modprobe does not know {', '.join(found.paths)}: it was put there after depmod ran"
        hint = place.depmod
        if not found.taken.endswith(place.suffixes):
            text = f"there is {found.taken}, which kmod here cannot decompress"
            hint = "decompress it, or compress it as kmod can (modprobe --version)"
        copies = tuple(FileOfName(place.in_system(path), False, path == found.taken) for path in found.paths)
        return replace(answer, name=name, files=copies, steps=(step(text, hint),))
    others = [
        release for release in releases_of(place.system) if release != place.release and _knows(release, name, place)
    ]
    if others:
        return replace(answer, steps=(step(text, f"other kernels here have it: {', '.join(others)}"),))
    hint = did_you_mean(name, _all_names(place)) or "is it built for this kernel, and installed? kbuildpy install"
    return replace(answer, steps=(step(text, hint),))


def _knows(release: str, name: str, place: KernelPlace) -> bool:
    other = find_place(place.system, release)
    return other is not None and bool(other.kmod.look_up(name))


def _all_names(place: KernelPlace) -> list[str]:
    text = place.system.read(f"{place.directory}/modules.dep", limit=1 << 24) if _has_list(place) else b""
    lines = text.decode("utf-8", "surrogateescape").splitlines()
    return [line.partition(":")[0].rpartition("/")[2].partition(".")[0].replace("-", "_") for line in lines]


def _has_list(place: KernelPlace) -> bool:
    return place.system.exists(f"{place.directory}/modules.dep")
