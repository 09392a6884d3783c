# SPDX-License-Identifier: GPL-2.0-only
"""Finds the headers of a kernel tree that declare what a probe asks for, where the probe names none.

The text of a header only suggests: the compiler then says whether it declares the name under the tree's configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from kbuildpy.kernel.architecture import architecture_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.probes.probe import Probe, called_name, member_parts

_MOST = 4
"""Headers that are tried for a name."""
_LEFT_OUT = ("uapi", "generated", "config", "dt-bindings", "trace")


def include_folders(tree: KernelTree) -> list[Path]:
    """The folders in which `#include <...>` finds the tree's headers, those of its architecture first."""
    places = [part / "arch" / architecture_of(tree).srcarch / "include" for part in (tree.source, tree.objects)]
    places += [place / "generated" for place in places]
    places += [place / "uapi" for place in places]
    places += [tree.source / "include", tree.objects / "include", tree.source / "include/uapi"]
    places += [tree.objects / "include/generated/uapi"]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def searched_files(tree: KernelTree) -> list[str]:
    """The headers that `with_headers` reads, and their folders: the answer depends on them."""
    return [name for folder in _roots(tree) for name in _walk(str(folder))]


def with_headers(tree: KernelTree, probes: Sequence[Probe]) -> dict[Probe, Probe]:
    """Those of `probes` for whose name headers were found, each with the same probe that includes them."""
    patterns = {probe: _declaration(_name_of(probe)) for probe in probes}
    names = {_name_of(probe).split()[-1].encode() for probe in probes}
    found: dict[Probe, list[str]] = {probe: [] for probe in probes}
    for folder in _roots(tree):
        for path in _walk(str(folder)):
            if not path.endswith(".h"):
                continue
            try:
                text = Path(path).read_bytes()
            except OSError:
                continue
            # (ten times as quick as a pattern, which next to no header needs)
            if not any(name in text for name in names):
                continue
            for probe, pattern in patterns.items():
                if pattern.search(text):
                    found[probe].append(os.path.relpath(path, folder))
    return {
        probe: probe._replace(includes=tuple(f"{name}?" for name in sorted(headers, key=_usual_first)[:_MOST]))
        for probe, headers in found.items()
        if headers
    }


def _name_of(probe: Probe) -> str:
    if probe.kind == "member":
        return member_parts(probe)[0]
    return called_name(probe) if probe.kind == "call" else probe.text


def _declaration(name: str) -> re.Pattern[bytes]:
    """What a header says that declares `name`: a function, a macro, a type."""
    kind, _, word = " ".join(name.split()).rpartition(" ")
    escaped = re.escape(word)
    if kind:
        return re.compile(rf"^[ \t]*(?:typedef\s+)?{kind}\s+{escaped}\s*(?:\{{|$)".encode(), re.MULTILINE)
    forms = (
        rf"(?:[A-Za-z_}}][^\n#]*\W|[ \t]+)?{escaped}\s*[(;\[]",
        rf"[ \t]*#\s*define\s+{escaped}\b",
        rf"\s+{escaped}\s*[,=]",
    )
    return re.compile(f"^(?:{'|'.join(forms)})".encode(), re.MULTILINE)


def _usual_first(name: str) -> tuple[bool, int, str]:
    return not name.startswith("linux/"), name.count("/"), name


def _roots(tree: KernelTree) -> list[Path]:
    return [
        place
        for place in include_folders(tree)
        if place != tree.objects / "include" or place == tree.source / "include"
    ]


@lru_cache(maxsize=16)
def _walk(folder: str) -> tuple[str, ...]:
    return tuple(_files(folder))


def _files(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        yield place
        yield from (f"{place}/{name}" for name in sorted(names) if name.endswith(".h"))
