# SPDX-License-Identifier: GPL-2.0-only
"""The guest's file system: a static busybox, an init script, and the files to try."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.cache import cache_directory
from kbuildpy.kernel.debian import extract
from kbuildpy.program_packages import install_hint
from kbuildpy.vm import cpio
from kbuildpy.vm.machine import Machine
from kbuildpy.vm.programs import GuestFile

# What init scripts call. busybox acts as the program whose name it is called by.
_PROGRAMS = (
    *("awk", "cat", "env", "grep", "insmod", "kill", "mkdir", "mkfifo", "mount"),
    *("poweroff", "rmmod", "setsid", "sh", "sleep", "uname"),
)


def make_initramfs(
    contents: Mapping[str, bytes],
    *,
    init: bytes = b"",
    busybox: Path | None = None,
    programs: Mapping[str, bytes] | None = None,
    beside: Sequence[GuestFile] = (),
) -> bytes:
    """An initramfs whose process 1 is the script `init`, with the files of `contents` (path to bytes) in it.

    `programs` (name to bytes) go into /bin beside busybox, the files of `beside` into /tests. Uncompressed: the
    kernel takes it faster than it could be compressed. Raises `KbuildError` if there is no usable busybox.
    """
    return cpio.archive(
        [
            cpio.file("init", init, executable=True),
            cpio.file("bin/busybox", (busybox or find_busybox()).read_bytes(), executable=True),
            *(cpio.symlink(f"bin/{program}", "busybox") for program in _PROGRAMS),
            *(cpio.file(f"bin/{name}", data, executable=True) for name, data in (programs or {}).items()),
            # What process 1 has open before it has mounted /dev.
            cpio.character_device("dev/console", 5, 1),
            *(cpio.directory(mount_point) for mount_point in ("proc", "sys")),
            *(cpio.file(path, data) for path, data in contents.items()),
            *(cpio.file(f"tests/{file.name}", file.contents, executable=file.executable) for file in beside),
        ]
    )


def busybox_for(machine: Machine) -> Path:
    """A static busybox that runs on `machine`: this machine's, else one out of Debian's package, once per user.

    Raises `KbuildError` if there is none.
    """
    if machine.native:
        return find_busybox()
    busybox = cache_directory() / "images" / f"busybox-{machine.name}"
    if not busybox.is_file():
        busybox.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".fetch-", dir=busybox.parent) as name:
            extract("busybox-static", Path(name), architecture=machine.debian)
            # (in /usr/bin since the directories were merged, in trixie)
            found = next(path for path in (Path(name, "bin/busybox"), Path(name, "usr/bin/busybox")) if path.is_file())
            found.replace(busybox)
    return busybox


def find_busybox() -> Path:
    """A static busybox of this machine: the guest has no shared libraries."""
    found = shutil.which("busybox")
    if not found:
        raise KbuildError("busybox: program not found", hint=install_hint("busybox"))
    if ModuleImage.from_path(Path(found)).section(".interp"):
        raise KbuildError(f"{found} is linked dynamically", hint=install_hint("busybox"))
    return Path(found)
