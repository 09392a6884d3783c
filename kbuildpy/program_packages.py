# SPDX-License-Identifier: GPL-2.0-only
"""The Debian package that has a program: for the hint of an error about a missing one."""

from __future__ import annotations

import re
from pathlib import Path

_PACKAGE_OF_PROGRAM = {
    "make": "make",
    "ld": "binutils",
    "nm": "binutils",
    "objcopy": "binutils",
    "strip": "binutils",
    "pahole": "pahole",
    "sparse": "sparse",
    "spatch": "coccinelle",
    "depmod": "kmod",
    "modinfo": "kmod",
    "xz": "xz-utils",
    "busybox": "busybox-static",
    "dpkg-deb": "dpkg",
    "rpmbuild": "rpm",
    "rpm2cpio": "rpm",
    "mksquashfs": "squashfs-tools",
    "unsquashfs": "squashfs-tools",
    "mkfs.erofs": "erofs-utils",
    "fsck.erofs": "erofs-utils",
    "veritysetup": "cryptsetup-bin",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-system-riscv64": "qemu-system-misc opensbi",
    "qemu-system-i386": "qemu-system-x86",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-ppc64": "qemu-system-ppc",
    "qemu-system-s390x": "qemu-system-misc",
}

# `LLVM=-15` appends the version to the names of programs, as Debian does to the names of packages.
_LLVM_PROGRAM = re.compile(r"(ld\.lld|llvm-[a-z]+)((?:-\d+)?)")
# Each compiler comes with its gcov.
_GCOV = re.compile(r"(?:(?P<triplet>\w+-linux-gnu\w*)-)?gcov(?P<version>(?:-\d+)?)")


# Programs of which a release of Debian has newer packages under other names.
_ALSO = {"rustc": " (Debian 12 has newer ones as rustc-web)"}
# Programs that Debian has no package of, and where they come from.
_NOT_PACKAGED = {"smatch": "Debian has no package of it: build https://github.com/error27/smatch with make"}


def install_hint(program: str) -> str:
    """The command that installs `program` on a Debian system, or where it comes from."""
    elsewhere = _NOT_PACKAGED.get(Path(program).name)
    return elsewhere or f"apt-get install {package_of(program)}{_ALSO.get(Path(program).name, '')}"


def package_of(program: str) -> str:
    """The Debian package that has `program`; most packages have the name of the program."""
    name = Path(program).name
    if name.endswith("-strip"):
        triplet = name.removesuffix("-strip")
        return "llvm" if triplet == "llvm" else f"binutils-{triplet.replace('_', '-')}"
    llvm = _LLVM_PROGRAM.fullmatch(name)
    if llvm:
        return ("lld" if llvm[1] == "ld.lld" else "llvm") + llvm[2]
    gcov = _GCOV.fullmatch(name)
    if gcov:
        triplet = f"-{gcov['triplet'].replace('_', '-')}" if gcov["triplet"] else ""
        return f"gcc{gcov['version']}{triplet}"
    return _PACKAGE_OF_PROGRAM.get(name, name)
