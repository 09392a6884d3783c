# SPDX-License-Identifier: GPL-2.0-only
"""The packages that have a program or a header: the one table for hints of errors, `kbuildpy doctor` and `./run`.

Debian's names are the keys. Where they were looked up: Debian's with apt; Fedora's, openSUSE's, Arch's and Alpine's in
the sources of their packages (spec files, PKGBUILD, APKBUILD). Ubuntu has Debian's names. `qemu-system-riscv64` and
`qemu-system-s390x` are provided by another package, in Debian 12 and 13 by different ones: apt-get takes the names.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from kbuildpy.distribution import ALPINE, ARCH, DEBIAN, FEDORA, OPENSUSE, SYSTEMS, UBUNTU, System, this_system
from kbuildpy.errors import KbuildError

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
    "modprobe": "kmod",
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
    "qemu-system-riscv64": "qemu-system-riscv64 opensbi",
    "qemu-system-i386": "qemu-system-x86",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-ppc64": "qemu-system-ppc",
    "sbatch": "slurm-client",
    "squeue": "slurm-client",
    "scancel": "slurm-client",
    "apt-get": "apt",
    "apt-cache": "apt",
    "apt-mark": "apt",
    "dpkg-query": "dpkg",
    "drgn": "python3-drgn",
}


class OtherNames(NamedTuple):
    """The packages of other distributions that have what a package of Debian has; "" where there is none."""

    fedora: str
    arch: str
    opensuse: str
    alpine: str


# fmt: off
PACKAGES = {
    "apt": OtherNames("", "", "", ""),
    "bash": OtherNames("bash", "bash", "bash", "bash"),
    "bc": OtherNames("bc", "bc", "bc", "bc"),
    "bindgen": OtherNames("bindgen-cli", "rust-bindgen", "rust-bindgen", "rust-bindgen"),
    "binutils": OtherNames("binutils", "binutils", "binutils", "binutils"),
    "binutils-arm-linux-gnueabi": OtherNames("binutils-arm-linux-gnu", "", "cross-arm-binutils", ""),
    "bison": OtherNames("bison", "bison", "bison", "bison"),
    "busybox-static": OtherNames("busybox", "busybox", "busybox-static", "busybox-static"),
    "clang": OtherNames("clang", "clang", "clang", "clang"),
    "clang-tidy": OtherNames("clang-tools-extra", "clang", "clang-tools", "clang-extra-tools"),
    "clangd": OtherNames("clang-tools-extra", "clang", "clang-tools", "clang-extra-tools"),
    "coccinelle": OtherNames("coccinelle", "", "coccinelle", "coccinelle"),
    "cpio": OtherNames("cpio", "cpio", "cpio", "cpio"),
    "cryptsetup-bin": OtherNames("veritysetup", "cryptsetup", "cryptsetup", "cryptsetup"),
    "dpkg": OtherNames("dpkg", "dpkg", "dpkg", "dpkg"),
    "dpkg-dev": OtherNames("dpkg-dev", "dpkg", "", "dpkg-dev"),
    "erofs-utils": OtherNames("erofs-utils", "erofs-utils", "erofs-utils", "erofs-utils"),
    "fish": OtherNames("fish", "fish", "fish", "fish"),
    "flex": OtherNames("flex", "flex", "flex", "flex"),
    "gawk": OtherNames("gawk", "gawk", "gawk", "gawk"),
    "gcc": OtherNames("gcc", "gcc", "gcc", "gcc"),
    "gcc-aarch64-linux-gnu": OtherNames("gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc", "cross-aarch64-gcc14", ""),
    "gcc-riscv64-linux-gnu": OtherNames("gcc-riscv64-linux-gnu", "riscv64-linux-gnu-gcc", "cross-riscv64-gcc14", ""),
    "g++": OtherNames("gcc-c++", "gcc", "gcc-c++", "g++"),
    "gcc-plugin-dev": OtherNames("gcc-plugin-devel", "gcc", "gcc-devel", ""),
    "gdb": OtherNames("gdb", "gdb", "gdb", "gdb"),
    "git": OtherNames("git-core", "git", "git", "git"),
    "groff-base": OtherNames("groff-base", "groff", "groff", "groff"),
    "gzip": OtherNames("gzip", "gzip", "gzip", "gzip"),
    "kmod": OtherNames("kmod", "kmod", "kmod", "kmod"),
    "libc6-dev": OtherNames("glibc-devel glibc-static", "glibc", "glibc-devel glibc-devel-static", "musl-dev"),
    "libc6-dev-arm64-cross": OtherNames("", "aarch64-linux-gnu-glibc", "cross-aarch64-glibc-devel", ""),
    "libdw-dev": OtherNames("elfutils-devel", "libelf", "libdw-devel", "elfutils-dev"),
    "libelf-dev": OtherNames("elfutils-libelf-devel", "libelf", "libelf-devel", "elfutils-dev"),
    "libp11-kit0": OtherNames("p11-kit", "p11-kit", "libp11-kit0", "p11-kit"),
    "libssl-dev": OtherNames("openssl-devel", "openssl", "libopenssl-devel", "openssl-dev"),
    "libtpm2-pkcs11-1": OtherNames("tpm2-pkcs11", "tpm2-pkcs11", "tpm2-pkcs11", "tpm2-pkcs11"),
    "linux-headers": OtherNames("kernel-devel", "linux-headers", "kernel-default-devel", "linux-lts-dev"),
    "lld": OtherNames("lld", "lld", "lld", "lld"),
    "llvm": OtherNames("llvm", "llvm", "llvm", "llvm"),
    "lz4": OtherNames("lz4", "lz4", "lz4", "lz4"),
    "make": OtherNames("make", "make", "make", "make"),
    "mandoc": OtherNames("mandoc", "mandoc", "mandoc", "mandoc"),
    "opencryptoki": OtherNames("opencryptoki", "opencryptoki", "openCryptoki", "opencryptoki"),
    "opensbi": OtherNames("", "opensbi", "opensbi", "opensbi"),
    "opensc-pkcs11": OtherNames("opensc", "opensc", "opensc", "opensc"),
    "openssl": OtherNames("openssl", "openssl", "openssl", "openssl"),
    "pahole": OtherNames("dwarves", "pahole", "dwarves", "pahole"),
    "perl": OtherNames("perl", "perl", "perl", "perl"),
    "python3-venv": OtherNames("python3", "python", "python3", "python3"),
    "python3-drgn": OtherNames("drgn", "", "", ""),
    "qemu-system-arm": OtherNames(
        "qemu-system-aarch64 qemu-system-arm",
        "qemu-system-aarch64 qemu-system-arm",
        "qemu-arm",
        "qemu-system-aarch64 qemu-system-arm",
    ),
    "qemu-system-ppc": OtherNames("qemu-system-ppc", "qemu-system-ppc", "qemu-ppc", "qemu-system-ppc64"),
    "qemu-system-riscv64": OtherNames("qemu-system-riscv", "qemu-system-riscv", "qemu-extra", "qemu-system-riscv64"),
    "qemu-system-s390x": OtherNames("qemu-system-s390x", "qemu-system-s390x", "qemu-s390x", "qemu-system-s390x"),
    "qemu-system-x86": OtherNames("qemu-system-x86", "qemu-system-x86", "qemu-x86", "qemu-system-x86_64"),
    "rpm": OtherNames("rpm-build", "rpm-tools", "rpm-build", "rpm"),
    "rustc": OtherNames("rust", "rust", "rust", "rust"),
    "rustfmt": OtherNames("rustfmt", "rust", "rust", "rustfmt"),
    "slurm-client": OtherNames("slurm", "slurm-llnl", "slurm", "slurm"),
    "smatch": OtherNames("smatch", "", "", ""),
    "softhsm2": OtherNames("softhsm", "softhsm", "softhsm", "softhsm"),
    "sparse": OtherNames("sparse", "sparse", "sparse", "sparse"),
    "squashfs-tools": OtherNames("squashfs-tools", "squashfs-tools", "squashfs", "squashfs-tools"),
    "tar": OtherNames("tar", "tar", "tar", "tar"),
    "xz-utils": OtherNames("xz", "xz", "xz", "xz"),
    "ykcs11": OtherNames("yubico-piv-tool", "yubico-piv-tool", "libykcs11-2", "yubico-piv-tool"),
    "zsh": OtherNames("zsh", "zsh", "zsh", "zsh"),
    "zstd": OtherNames("zstd", "zstd", "zstd", "zstd"),
}
# fmt: on
"""Debian's packages, and what other distributions have in their place. `linux-headers` stands for the headers of the
kernel, which `kernel.packages` names in full on Debian and Ubuntu; `gcc-plugin-dev` for those with gcc's version in
their names."""

# `LLVM=-15` appends the version to the names of programs, as Debian does to the names of packages.
_LLVM_PROGRAM = re.compile(r"(ld\.lld|llvm-[a-z]+)((?:-\d+)?)")
# The package of a version of gcc.
_OF_A_GCC = re.compile(r"^gcc-\d+(?=-plugin-dev)")
# Each compiler comes with its gcov.
_GCOV = re.compile(r"(?:(?P<triplet>\w+-linux-gnu\w*)-)?gcov(?P<version>(?:-\d+)?)")


# Programs of which a release of Debian has newer packages under other names.
_ALSO = {"rustc": " (Debian 12 has newer ones as rustc-web)"}
# Programs that Debian has no package of, and where they come from.
_NOT_PACKAGED = {"smatch": "Debian has no package of it: build https://github.com/error27/smatch with make"}


def require_installed(
    names: Iterable[str], environ: Mapping[str, str] | None = None, *, more: Callable[[], Iterable[str]] = tuple
) -> None:
    """Raise `KbuildError` for those of the programs `names` that are not installed (in the PATH of `environ`; default:
    ours): all at once, with the command that installs them, and with them the packages `more`, which what comes after
    takes."""
    path = environ.get("PATH") if environ is not None else None
    missing = [name for name in dict.fromkeys(names) if shutil.which(name, path=path) is None]
    if missing:
        raise KbuildError(
            f"{' and '.join(missing)}: program{'s' * (len(missing) > 1)} not found",
            hint=install_command([*map(package_of, missing), *more()]),
        )


def install_hint(program: str, *, system: System | None = None) -> str:
    """The command that installs `program` on this system (or on `system`), or where it comes from."""
    name = Path(program).name
    where = system or this_system()
    if name in _NOT_PACKAGED:
        return "dnf install smatch" if where is FEDORA else _NOT_PACKAGED[name]
    also = _ALSO.get(name, "") if where in (None, DEBIAN) else ""
    return f"{install_command([package_of(program)], system=where)}{also}"


def install_command(packages: Iterable[str], *, system: System | None = None) -> str:
    """The command that installs what Debian has in `packages` on this system (or on `system`). It says what has no
    package there; where the distribution is not known, the packages are Debian's."""
    where = system or this_system()
    wanted = list(dict.fromkeys(word for package in packages for word in package.split()))
    if where is None or where in (DEBIAN, UBUNTU):
        command = f"apt-get install {' '.join(wanted)}"
        return command if where else f"on Debian: {command}"
    names = dict.fromkeys(name for package in wanted for name in names_of(package, where).split())
    lost = [package for package in wanted if not names_of(package, where)]
    parts = [f"{where.install} {' '.join(names)}"] if names else []
    if lost:
        parts.append(f"no package of {where.name} is known for what Debian has as {' '.join(lost)}")
    return "; ".join(parts)


def names_of(package: str, system: System) -> str:
    """What `system` has in the place of Debian's `package`: names with blanks between them; "" for none that is
    known."""
    if system in (DEBIAN, UBUNTU):
        return "" if package in _NOT_PACKAGED else package
    row = PACKAGES.get(_OF_A_GCC.sub("gcc", package))
    if row is None:
        return ""
    return {FEDORA: row.fedora, ARCH: row.arch, OPENSUSE: row.opensuse, ALPINE: row.alpine}[system]


def names_by_system(package: str) -> dict[str, str]:
    """The names of Debian's `package` in each distribution that is known, by its word in `SYSTEMS`."""
    return {word: names_of(package, system) for word, system in SYSTEMS.items()}


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
