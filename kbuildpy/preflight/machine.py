# SPDX-License-Identifier: GPL-2.0-only
"""What a machine tells of its modules: what is loaded, what its settings name, sources for dkms.

All of it is below a root directory; what cannot be read there is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kbuildpy.kernel.boot_loads import boot_loads
from kbuildpy.kernel.module_files import is_module_name, module_name
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.preflight.findings import Source

_MODPROBE = ("etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d")
_ASSIGNMENT = re.compile(r"^\s*(PACKAGE_NAME|PACKAGE_VERSION|BUILT_MODULE_NAME(?:\[\d+\])?)=(\S+)", re.MULTILINE)
_LIMIT = 1 << 20


class Setting(NamedTuple):
    """A line that names a module."""

    file: str
    line: int
    text: str
    module: str
    loads: bool
    """It asks for the module to be loaded."""


def loaded_modules(root: Path) -> list[str]:
    """The names in /proc/modules; [] where there is none."""
    lines = _text(root / "proc/modules").splitlines()
    return [line.split()[0] for line in lines if line.strip() and is_module_name(line.split()[0])]


def settings(root: Path) -> Iterator[Setting]:
    """The lines of modprobe.d that say something of a module, and those that ask for one to be loaded at boot."""
    for file in _files(root, _MODPROBE):
        for number, line in _lines(file):
            words = line.split()
            if len(words) >= 2 and words[0] in ("blacklist", "options", "install", "remove", "softdep"):
                yield Setting(_named(file, root), number, line, module_name(words[1]), loads=False)
    for each in boot_loads(Rooted(root)):
        yield Setting(each.file, each.line, each.text, module_name(each.name), loads=True)


def dkms_sources(root: Path) -> dict[str, Source]:
    """Sources in /usr/src with a dkms.conf, by the names of the modules that it builds; of several versions the last
    in the order of their names.

    The file is a script of bash, which is not run here: only plain assignments are read.
    """
    found: dict[str, Source] = {}
    for file in sorted((root / "usr/src").glob("*/dkms.conf")):
        values: dict[str, str] = {}
        for match in _ASSIGNMENT.finditer(_text(file)):
            values[match[1]] = match[2].strip("\"'")
        package, version = values.get("PACKAGE_NAME", ""), values.get("PACKAGE_VERSION", "")
        folder_name, _, folder_version = file.parent.name.rpartition("-")
        # (what is computed cannot be known without bash: the directory is called by it)
        package = folder_name if not package or set("$#`") & set(package) else package
        version = folder_version if not version or set("$#`") & set(version) else version
        source = Source(file.parent, f"{package}/{version}")
        names = [value for name, value in values.items() if name.startswith("BUILT")] or [package]
        for name in names:
            name = re.sub(r"\$\{?PACKAGE_NAME\}?", package, name)
            found[module_name(name)] = source
    return found


def _files(root: Path, folders: tuple[str, ...]) -> list[Path]:
    """The files `*.conf` of the folders; of two of one name, that in the first (modprobe.d(5), modules-load.d(5))."""
    found: dict[str, Path] = {}
    for folder in folders:
        try:
            files = sorted((root / folder).glob("*.conf"))
        except OSError:
            continue
        for file in files:
            found.setdefault(file.name, file)
    return [file for _, file in sorted(found.items())]


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file but comments and empty ones, with their numbers; lines that go on as one."""
    pending, first = "", 0
    for number, line in enumerate(_text(file).splitlines(), 1):
        first = first or number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole = (pending + line).strip()
        if whole and not whole.startswith("#"):
            yield first, whole
        pending, first = "", 0


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_LIMIT).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _named(file: Path, root: Path) -> str:
    return f"/{file.relative_to(root)}"
