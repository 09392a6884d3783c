# SPDX-License-Identifier: GPL-2.0-only
"""What each format calls an architecture."""

from __future__ import annotations

from typing import NamedTuple

from kbuildpy.elf.headers import Ehdr
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import ARCHITECTURES, KnownArchitecture


class MachineNames(NamedTuple):
    """The names of one architecture; "" in a format that has none for it."""

    debian: str
    rpm: str
    systemd: str
    """ARCHITECTURE= of extension-release (os-release(5))."""
    oci: str
    """GOARCH."""
    variant: str = ""
    """OCI's variant."""


_NAMES = {
    "x86_64": MachineNames("amd64", "x86_64", "x86-64", "amd64"),
    "i686": MachineNames("i386", "i686", "x86", "386"),
    "aarch64": MachineNames("arm64", "aarch64", "arm64", "arm64"),
    "armv7l": MachineNames("armhf", "armv7hl", "arm", "arm", "v7"),
    "riscv64": MachineNames("riscv64", "riscv64", "riscv64", "riscv64"),
    "ppc64le": MachineNames("ppc64el", "ppc64le", "ppc64-le", "ppc64le"),
    "s390x": MachineNames("s390x", "s390x", "s390x", "s390x"),
    "loongarch64": MachineNames("loong64", "loongarch64", "loongarch64", "loong64"),
}


def machine_of(header: Ehdr, file: object) -> KnownArchitecture:
    """The architecture that the module `file` with this ELF header is for. Raises `KbuildError` for one that packages
    have no name of."""
    for known in ARCHITECTURES:
        is_same = (known.elf_machine, known.bits == 64, known.order) == (
            header.e_machine,
            header.is_64bit,
            header.order,
        )
        if is_same and known.uname in _NAMES:
            return known
    raise KbuildError(f"{file}: packages have no name for its machine ({header.e_machine})")


def names_of(machine: KnownArchitecture) -> MachineNames:
    """What formats call `machine`."""
    return _NAMES[machine.uname]
