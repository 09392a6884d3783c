# SPDX-License-Identifier: GPL-2.0-only
"""The variables of the firmware and of shim that say which keys a kernel has when it starts.

Counterpart: security/integrity/platform_certs/load_uefi.c, drivers/firmware/efi/libstub/secureboot.c. Lists of machine
owner keys come from a table that shim leaves in memory (`mok-variables` in sysfs, for root only), else from a variable.
The surprise: while Secure Boot is off the kernel does not look at the lists of machine owner keys at all.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import NamedTuple

from kbuildpy.kernel.rooted import Rooted

_EFI = "/sys/firmware/efi"
_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
_SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"
_ATTRIBUTES = 4
"""Bytes before the contents of a variable's file."""
_LIMIT = 1 << 24


class EfiVariable(NamedTuple):
    """A variable."""

    name: str
    contents: bytes | None
    """None where it is not there, or cannot be read."""
    problem: str = ""
    """Why it could not be read; "" where it was, or is not there."""


_NO_OWNER_KEYS, _NO_OWNER_REVOCATIONS = EfiVariable("MokListRT", None), EfiVariable("MokListXRT", None)
_NONE_ALLOWED, _NONE_FORBIDDEN = EfiVariable("db", None), EfiVariable("dbx", None)


@dataclass(frozen=True)
class Firmware:
    """What the firmware tells."""

    is_efi: bool | None
    """The system was started by EFI; None where that is not known: no /sys."""
    secure_boot: bool | None = None
    """Secure Boot is on, and shim validates; None where that could not be read."""
    owner_keys: EfiVariable = _NO_OWNER_KEYS
    owner_keys_trusted: bool = False
    """The owner asked for his keys to be trusted as the kernel's own (MokListTrustedRT)."""
    owner_revocations: EfiVariable = _NO_OWNER_REVOCATIONS
    allowed: EfiVariable = _NONE_ALLOWED
    forbidden: EfiVariable = _NONE_FORBIDDEN

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read."""
        variables = (self.owner_keys, self.owner_revocations, self.allowed, self.forbidden)
        return tuple(f"{each.name}: {each.problem}" for each in variables if each.problem)


def read_firmware(system: Rooted) -> Firmware:
    """The firmware of `system`."""
    if not system.is_directory("/sys/firmware"):
        return Firmware(None)
    if not system.is_directory(_EFI):
        return Firmware(False, secure_boot=False)
    ignores_db = _of_shim(system, "MokIgnoreDB").contents is not None
    return Firmware(
        True,
        secure_boot=_secure_boot(system),
        owner_keys=_of_shim(system, "MokListRT"),
        owner_keys_trusted=system.exists(f"{_EFI}/mok-variables/MokListTrustedRT"),
        owner_revocations=_of_shim(system, "MokListXRT"),
        allowed=EfiVariable("db", None) if ignores_db else _variable(system, "db", _SECURITY),
        forbidden=_variable(system, "dbx", _SECURITY),
    )


def _secure_boot(system: Rooted) -> bool | None:
    state = _variable(system, "SecureBoot", _GLOBAL)
    if state.contents is None:
        return None if state.problem else False
    validates_not = _of_shim(system, "MokSBStateRT").contents
    return state.contents[:1] == b"\1" and validates_not != b"\1"


def _of_shim(system: Rooted, name: str) -> EfiVariable:
    """A variable of shim's: from its table, else from the firmware."""
    try:
        return EfiVariable(name, system.read(f"{_EFI}/mok-variables/{name}", limit=_LIMIT))
    except OSError as error:
        denied = error.errno in (errno.EACCES, errno.EPERM)
    found = _variable(system, name, _SHIM)
    if denied and found.contents is None:
        return EfiVariable(name, None, "not readable: needs root")
    return found


def _variable(system: Rooted, name: str, vendor: str) -> EfiVariable:
    try:
        return EfiVariable(name, system.read(f"{_EFI}/efivars/{name}-{vendor}", limit=_LIMIT)[_ATTRIBUTES:])
    except FileNotFoundError:
        if not system.names(f"{_EFI}/efivars"):
            return EfiVariable(name, None, "not readable: efivarfs is not mounted")
        return EfiVariable(name, None)
    except OSError as error:
        why = "needs root" if error.errno in (errno.EACCES, errno.EPERM) else error.strerror
        return EfiVariable(name, None, f"not readable: {why}")
