# SPDX-License-Identifier: GPL-2.0-only
"""Which source file exports a symbol, and which options that file is compiled with.

The sources say it in `EXPORT_SYMBOL*()` and in the makefiles' `obj-$(CONFIG_...)` lines; both are read as text, because
only the parts of a kernel that a configuration has can be asked by make.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.kernel.cache import cache_directory, read_json, write_json
from kbuildpy.kernel_build.sources import KernelSource
from kbuildpy.run import run

_EXPORT = (
    r"\bEXPORT_(PER_CPU_SYMBOL|SYMBOL|TRACEPOINT_SYMBOL)(_GPL|_NS|_NS_GPL|_GPL_FUTURE|_FOR_[A-Z_]+)?"
    r"[[:space:]]*\([[:space:]]*[A-Za-z0-9_]+"
)
_OF_TRACEPOINT = ("__tracepoint", "__traceiter", "__SCK__tp_func")
"""What the names of symbols begin with that a tracepoint exports (include/linux/tracepoint.h)."""
_LINES = re.compile(r"\\\n")
_RULE = re.compile(r"^[ \t]*([\w.\-]+?)-(?:\$\((CONFIG_\w+)\)|([ymn]|objs))[ \t]*[:+]?=[ \t]*([^#\n]*)", re.MULTILINE)
_SKIPPED = frozenset({"Documentation", "tools", "scripts", "samples", "usr", "LICENSES"})
_DEEPEST, _MOST = 8, 32
_TOPS = frozenset({"obj", "lib", "core", "libs", "drivers", "head"})
"""What the lines of makefiles begin with that are about the kernel, not about a composite object."""


@dataclass(frozen=True)
class _Line:
    """A line of a makefile: `name-$(CONFIG_X) += words`."""

    name: str
    option: str
    """With CONFIG_; "" for a line without a condition."""
    words: tuple[str, ...]


def exporting_files(source: KernelSource, srcarch: str) -> Mapping[str, list[str]]:
    """Exported symbol -> the files (paths in the sources) that export it. Read once for each state of the sources."""
    digest = hashlib.sha256(f"{source.identity} {srcarch}".encode()).hexdigest()[:20]
    kept = cache_directory() / "exports" / f"{digest}.json"
    found = read_json(kept)
    if isinstance(found, dict):
        return found
    found = {}
    for line in _exports(source.path, srcarch):
        file, _, text = line.partition(":")
        name = text[text.rindex("(") + 1 :].strip()
        is_tracepoint = "_TRACEPOINT_" in text
        for each in [f"{prefix}_{name}" for prefix in _OF_TRACEPOINT] if is_tracepoint else [name]:
            files = found.setdefault(each, [])
            if file not in files:
                files.append(file)
    write_json(kept, found)
    return found


def ways_to_compile(source: Path, file: str) -> list[frozenset[str]]:
    """The sets of options (with CONFIG_) with each of which `file` of the sources is compiled; an empty set for a file
    that always is. A file that no makefile names has no way."""
    path = Path(file)
    found = _ways_to_object(_lines_of(source / path.parent), f"{path.stem}.o", frozenset())
    above = _ways_to_directory(source, path.parent, 0)
    return list(dict.fromkeys(one | other for one in found for other in above))[:_MOST]


def _ways_to_directory(source: Path, directory: Path, depth: int) -> list[frozenset[str]]:
    """The same for the makefile of `directory`."""
    if not directory.parts or directory.parent == Path("arch") or depth > _DEEPEST:
        return [frozenset()]
    found: list[frozenset[str]] = []
    # (a line further up may name it: obj-y += a/b/)
    for parent in directory.parents:
        name = f"{directory.relative_to(parent)}/"
        lines = [line for line in _lines_of(source / parent) if line.name in _TOPS and name in line.words]
        if not parent.parts and len(directory.parts) == 1:
            return [frozenset()]
        if lines:
            above = _ways_to_directory(source, parent, depth + 1)
            own = {frozenset([line.option] if line.option else []): None for line in lines}
            found += [one | other for one in own for other in above]
    return found or [frozenset()]


def _ways_to_object(lines: Sequence[_Line], wanted: str, seen: frozenset[str]) -> list[frozenset[str]]:
    """The same for the object `wanted`, also as a part of composite ones."""
    found: list[frozenset[str]] = []
    for line in lines:
        if wanted not in line.words or wanted in seen:
            continue
        own = frozenset([line.option] if line.option else [])
        if line.name in _TOPS:
            found.append(own)
        else:
            found += [own | way for way in _ways_to_object(lines, f"{line.name}.o", seen | {wanted})]
    return found


def _lines_of(directory: Path) -> list[_Line]:
    for name in ("Kbuild", "Makefile"):
        path = directory / name
        if path.is_file() and directory.parts:
            text = _LINES.sub(" ", path.read_text(errors="replace")).replace("$(BITS)", "64")
            found = [_Line(match[1], match[2] or "", tuple(match[4].split())) for match in _RULE.finditer(text)]
            if found:
                return found
    return []


def _exports(source: Path, srcarch: str) -> Iterable[str]:
    """Lines `FILE:EXPORT_SYMBOL(NAME`. (grep reads a gigabyte of sources in seconds.)"""
    tops = [path.name for path in sorted(source.iterdir()) if path.is_dir() and path.name not in _SKIPPED]
    tops = [f"arch/{srcarch}" if name == "arch" else name for name in tops if not name.startswith(".")]
    words = ["grep", "-roE", "--include=*.c", "--include=*.S", "--include=*.rs", "-e", _EXPORT, *tops]
    found = run(words, cwd=source, env={**os.environ, "LC_ALL": "C"}, check=False).text
    return sorted(found.splitlines())
