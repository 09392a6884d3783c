# SPDX-License-Identifier: GPL-2.0-only
"""A module that is loaded, as sysfs shows it below `/sys/module/NAME`.

Counterpart in the kernel: kernel/module/sysfs.c (sections, notes), kernel/module/main.c (srcversion, initstate).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.elf.notes import build_id_in, notes_in
from kbuildpy.errors import UsageError
from kbuildpy.kernel.module_files import is_module_name

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_MODULES = "sys/module"
_NO_ADDRESS = re.compile(r"(0x)?0*")


@dataclass(frozen=True)
class RunningModule:
    """A module that is loaded."""

    name: str
    sections: Mapping[str, str]
    """The addresses of its sections, in the kernel's words; without those that could not be read."""
    unreadable: bool
    """There are addresses that this user may not read."""
    build_id: str
    """In hexadecimal, "" where it has none."""
    srcversion: str
    """The digest of its sources, "" where it has none."""

    @property
    def hidden(self) -> bool:
        """The kernel gives 0 for every address (lib/vsprintf.c and kernel/kallsyms.c: kallsyms_show_value)."""
        return bool(self.sections) and all(_NO_ADDRESS.fullmatch(value) for value in self.sections.values())


def checked_name(word: str) -> str:
    """What the kernel calls the module `word`: with _ for -. Raises `UsageError` for what no module is called."""
    if not _NAME.fullmatch(word) or not is_module_name(word):
        raise UsageError(
            f"{word!r} is no name of a module", hint="name a module, with letters, digits, - and _ only, or a .ko file"
        )
    return word.replace("-", "_")


def read_running_module(name: str, *, root: Path = Path("/")) -> RunningModule | None:
    """The loaded module `name`; None if it is not loaded. `root` is the system's root directory."""
    directory = root / _MODULES / name
    if not is_loaded(directory):
        return None
    sections, unreadable = _sections(directory / "sections")
    note = b""
    with suppress(OSError):
        note = (directory / "notes/.note.gnu.build-id").read_bytes()
    return RunningModule(
        name=name,
        sections=sections,
        unreadable=unreadable,
        build_id=build_id_in(notes_in(note, "=")),
        srcversion=_word(directory / "srcversion"),
    )


def loaded_names(*, root: Path = Path("/")) -> list[str]:
    """The names of all modules that are loaded."""
    with suppress(OSError):
        return sorted(path.name for path in (root / _MODULES).iterdir() if is_loaded(path))
    return []


def is_loaded(directory: Path) -> bool:
    """Whether a directory of `/sys/module` is that of a module: what is built in has no state."""
    return (directory / "initstate").exists()


def _sections(directory: Path) -> tuple[dict[str, str], bool]:
    found, unreadable = {}, False
    with suppress(FileNotFoundError):
        for path in sorted(directory.iterdir()):
            try:
                found[path.name] = path.read_text(errors="replace").strip()
            except PermissionError:
                unreadable = True
            except OSError:
                continue
    return found, unreadable


def _word(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
