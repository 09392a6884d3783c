# SPDX-License-Identifier: GPL-2.0-only
"""The keys that a kernel trusts on a machine: those in its image, those of the machine's owner and firmware, those that
are shown of the running kernel. Imports cryptography.

Counterpart: security/integrity/platform_certs (keyring_handler.c, machine_keyring.c, load_uefi.c),
certs/system_keyring.c, kernel/module/signing.c (mod_verify_sig). A module's signature is looked up in the secondary
ring, which the built-in one and `.machine` are part of, and in Linux as published not in `.platform`; distributions
change that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.signing.anchors import load_certificates
from kbuildpy.signing.certificates import Certificate, parse_certificate
from kbuildpy.signing.efi import SignatureList, parse_signature_lists
from kbuildpy.signing.keyring import Keyring
from kbuildpy.which.efi_variables import EfiVariable, Firmware, read_firmware
from kbuildpy.which.live_keys import BUILT_IN, MACHINE, PLATFORM, SECONDARY, LiveKey, LiveKeys, read_live_keys

_OWNER_KEYS, _ALLOWED = "MOK", "db"


class KeyPlace(NamedTuple):
    """A place that keys come from."""

    name: str
    """`built-in`, `MOK`, `db`, `running kernel`, or the file of a certificate."""
    keys: tuple[str, ...]
    """The names of its certificates."""
    trusted: bool | None
    """Whether the kernel takes them for modules; None where that is not known."""
    why: str = ""
    """Why they are not trusted, or why that is not known."""


@dataclass(frozen=True)
class MachineKeyring:
    """What a kernel has to look at signatures with."""

    keyring: Keyring | None
    """None where not even the image's keys are known."""
    places: tuple[KeyPlace, ...]
    unread: tuple[str, ...]
    """What could not be read, and why. Without it, a signature by an unknown key cannot be judged."""
    secure_boot: bool | None = None

    @property
    def is_complete(self) -> bool:
        """Whether all keys are known."""
        return not self.unread and all(place.trusted is not None for place in self.places if place.keys)


def machine_keyring(
    kernel: LoaderKernel, system: Rooted, *, runs: bool, takes_platform: bool | None, files: Sequence[Path] = ()
) -> MachineKeyring:
    """The keys of `kernel` on the machine of `system`, with the certificates in `files` enrolled.

    `runs`: it is the kernel that runs there. `takes_platform`: whether it takes keys of `.platform` for modules; None
    where that is not known. Raises `KbuildError` for a file without certificates.
    """
    unread: list[str] = []
    built_in: Keyring | None = None
    try:
        built_in = kernel.keyring() if kernel.keyring is not None else None
        if built_in is None:
            unread.append("built-in keys: there is no image of the kernel")
    except KbuildError as error:
        unread.append(f"built-in keys: {error.message}")
    firmware = read_firmware(system)
    live = read_live_keys(system) if runs else None
    own = built_in or Keyring(kernel.release)
    places = [KeyPlace("built-in", _names(own.certificates), True)] if built_in else []
    trusted: list[Certificate] = []
    for name, variable in ((_OWNER_KEYS, firmware.owner_keys), (_ALLOWED, firmware.allowed)):
        certificates = _certificates(variable, unread)
        if certificates:
            taken, why = _is_taken(name, kernel, firmware, takes_platform)
            places.append(KeyPlace(name, _names(certificates), taken, why))
            trusted += certificates if taken else ()
    enrolled = [item for file in files for item in load_certificates(file)]
    places += [KeyPlace(str(file), _names(load_certificates(file)), True) for file in files]
    revoked = _revocations(kernel, firmware, unread)
    unread += firmware.problems
    if firmware.is_efi is None:
        unread.append("keys of the machine (MOK, db, dbx): no /sys to read them from")
    blacklist = frozenset(revoked.hashes)
    if live is not None:
        if live.problem:
            unread.append(f"keys that were added to the running kernel: {live.problem}")
        else:
            unknown, trusted = _compare(live, (*own.certificates, *enrolled), trusted, places, takes_platform)
            unread += unknown
            blacklist |= live.blacklist
    keyring = own.plus([*trusted, *enrolled], revoked=_parsed(revoked, "dbx"), blacklist=blacklist)
    has_any = built_in is not None or trusted or enrolled
    return MachineKeyring(keyring if has_any else None, tuple(places), tuple(unread), firmware.secure_boot)


def _is_taken(
    name: str, kernel: LoaderKernel, firmware: Firmware, takes_platform: bool | None
) -> tuple[bool | None, str]:
    """Whether keys of a list are trusted for modules, and why not."""
    if kernel.has("LOAD_UEFI_KEYS") is False:
        return False, "the kernel does not read keys of the firmware (CONFIG_LOAD_UEFI_KEYS)"
    if kernel.config is None:
        return None, "the kernel's configuration is not known"
    if name == _OWNER_KEYS:
        if firmware.secure_boot is None:
            return None, "whether Secure Boot is on could not be read, and without it they do not count"
        if not firmware.secure_boot:
            return False, "Secure Boot is off, and without it the kernel does not read them"
        if kernel.has("INTEGRITY_MACHINE_KEYRING") and firmware.owner_keys_trusted:
            if kernel.has("INTEGRITY_CA_MACHINE_KEYRING"):
                return (
                    None,
                    "the kernel takes only those of certificate authorities (CONFIG_INTEGRITY_CA_MACHINE_KEYRING)",
                )
            return True, ""
    if takes_platform:
        return True, ""
    ring = "they are in .platform, whose keys Linux takes for kexec only"
    if takes_platform is None:
        return None, f"{ring}, if the distribution has not changed that"
    return False, ring


def _compare(
    live: LiveKeys,
    own: Sequence[Certificate],
    trusted: list[Certificate],
    places: list[KeyPlace],
    takes_platform: bool | None,
) -> tuple[list[str], list[Certificate]]:
    """Compare what was found with what the running kernel shows: the keys that it has and whose certificates were not
    found, and those of `trusted` that it has."""
    shown = {key.identifier for key in live.keys}
    kept = [item for item in trusted if _identifier(item) in shown]
    if SECONDARY not in live.members and BUILT_IN not in live.members:
        return ["which ring a key is in: keyctl(2) does not tell"] if live.keys else [], kept
    rings = [SECONDARY, BUILT_IN, MACHINE, *([PLATFORM] if takes_platform else [])]
    taken: dict[str, LiveKey] = {key.identifier: key for ring in rings for key in live.members.get(ring, ())}
    kept = [item for item in kept if _identifier(item) in taken]
    known = {_identifier(item) for item in (*own, *kept)}
    unknown = [key for identifier, key in taken.items() if identifier not in known]
    places.append(KeyPlace("running kernel", tuple(key.subject for key in taken.values()), True))
    return [
        f"the certificate of {key.subject} ({key.identifier}), which the running kernel trusts: name it with --cert"
        for key in unknown
    ], kept


def _identifier(certificate: Certificate) -> str:
    """What the kernel calls a key by (x509_key_preparse)."""
    if certificate.subject_key:
        return certificate.subject_key.hex()
    size = max(1, (certificate.serial.bit_length() + 8) // 8)
    return certificate.serial.to_bytes(size, "big", signed=True).hex()


def _certificates(variable: EfiVariable, unread: list[str]) -> tuple[Certificate, ...]:
    return _parsed(_lists(variable, unread), variable.name)


def _revocations(kernel: LoaderKernel, firmware: Firmware, unread: list[str]) -> SignatureList:
    """What `dbx` forbids, and the machine's owner, whose list counts only under Secure Boot. Whole certificates count
    in kernels with a list for them."""
    if kernel.has("LOAD_UEFI_KEYS") is False:
        return SignatureList((), ())
    lists = [_lists(firmware.forbidden, unread)]
    if firmware.secure_boot:
        lists.append(_lists(firmware.owner_revocations, unread))
    certificates = tuple(item for each in lists for item in each.certificates)
    hashes = tuple(item for each in lists for item in each.hashes)
    return SignatureList(() if kernel.has("SYSTEM_REVOCATION_LIST") is False else certificates, hashes)


def _lists(variable: EfiVariable, unread: list[str]) -> SignatureList:
    if not variable.contents:
        return SignatureList((), ())
    try:
        return parse_signature_lists(variable.contents)
    except ValueError as error:
        unread.append(f"{variable.name}: a damaged list: {error}")
        return SignatureList((), ())


def _parsed(found: SignatureList, source: str) -> tuple[Certificate, ...]:
    certificates = []
    for der in found.certificates:
        try:
            certificates.append(parse_certificate(der, source))
        except KbuildError:
            continue  # the kernel cannot load it either
    return tuple(certificates)


def _names(certificates: Sequence[Certificate]) -> tuple[str, ...]:
    return tuple(item.name for item in certificates)
