# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that runs here, as far as it decides how a module can be debugged: /proc, /sys, and its configuration.

Paths are those of the machine, whose root directory is `root`.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kbuildpy.elf.notes import build_id_in, notes_in
from kbuildpy.kernel.config import parse_config
from kbuildpy.kernel.release import is_release

_LOCKDOWN = re.compile(r"\[(\w+)\]")
_TEXT = re.compile(r"([0-9a-f]+) [Tt] _text$", re.MULTILINE)
_OCTAL = re.compile(r"\\([0-7]{3})")
# Distributions, CONFIG_IKCONFIG_PROC, Fedora, a kernel that was built here.
_CONFIGS = (
    "boot/config-{release}",
    "proc/config.gz",
    "lib/modules/{release}/config",
    "lib/modules/{release}/build/.config",
)


@dataclass(frozen=True)
class RunningKernel:
    """The kernel that runs."""

    release: str
    """"" where it is not known."""
    build_id: str
    """In hexadecimal, "" where it is not known."""
    config: Mapping[str, str]
    """Its configuration; empty where it is not known."""
    lockdown: str
    """`integrity` or `confidentiality`; `none`, or "" for a kernel that cannot be locked down."""
    text: int | None
    """The address of `_text`, where its code begins; None where the kernel hides it."""
    shows_memory: bool
    """There is a /proc/kcore."""
    tracefs: str
    """Where tracefs is mounted, "" for nowhere."""
    debug_control: str
    """The file of dynamic debug, "" for none."""

    @property
    def is_locked_down(self) -> bool:
        """Whether lockdown forbids to change the kernel."""
        return self.lockdown in ("integrity", "confidentiality")

    def lacks(self, symbol: str) -> bool:
        """Whether its configuration is known, and `symbol` is not set there."""
        return bool(self.config) and symbol not in self.config


def read_running_kernel(*, root: Path = Path("/")) -> RunningKernel:
    """The kernel that runs on the system whose root directory is `root`."""
    release = _read(root / "proc/sys/kernel/osrelease").strip()
    release = release if is_release(release) else ""
    mounts = list(_mounts(root))
    tracefs = [place for kind, place in mounts if kind == "tracefs"]
    # (debugfs mounts it there when it is looked at: kernel/trace/trace.c, tracing_init_dentry)
    tracefs += [f"{place}/tracing" for kind, place in mounts if kind == "debugfs"]
    notes = b""
    with suppress(OSError):
        notes = (root / "sys/kernel/notes").read_bytes()
    lockdown = _LOCKDOWN.search(_read(root / "sys/kernel/security/lockdown"))
    return RunningKernel(
        release=release,
        build_id=build_id_in(notes_in(notes, "=")),
        config=_config(release, root),
        lockdown=lockdown[1] if lockdown else "",
        text=_text_address(root / "proc/kallsyms"),
        shows_memory=(root / "proc/kcore").exists(),
        tracefs=next(iter(tracefs), ""),
        debug_control=_debug_control(mounts, root),
    )


def _debug_control(mounts: list[tuple[str, str]], root: Path) -> str:
    """/proc has it from 5.8 on, also where debugfs is locked down (lib/dynamic_debug.c)."""
    places = ["/proc/dynamic_debug/control"]
    places += [f"{place}/dynamic_debug/control" for kind, place in mounts if kind == "debugfs"]
    return next((place for place in places if _is_there(root / place.lstrip("/"))), "")


def _is_there(path: Path) -> bool:
    """Whether it is there; a directory that this user may not look into is taken to have it."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _mounts(root: Path) -> Iterator[tuple[str, str]]:
    """The type and the place of each file system (proc(5), fstab(5): how names are escaped)."""
    for line in _read(root / "proc/mounts").splitlines():
        words = line.split(" ")
        if len(words) > 2:
            yield words[2], _OCTAL.sub(lambda found: chr(int(found[1], 8)), words[1])


def _config(release: str, root: Path) -> dict[str, str]:
    for pattern in _CONFIGS:
        if not release and "{release}" in pattern:
            continue
        try:
            contents = (root / pattern.format(release=release)).read_bytes()
            if pattern.endswith(".gz"):
                contents = gzip.decompress(contents)
        except (OSError, EOFError, zlib.error):
            continue
        return parse_config(contents.decode(errors="surrogateescape"))
    return {}


def _text_address(kallsyms: Path) -> int | None:
    try:
        with kallsyms.open(errors="replace") as lines:
            for line in lines:
                if found := _TEXT.match(line):
                    return int(found[1], 16) or None
    except OSError:
        pass
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""
