# SPDX-License-Identifier: GPL-2.0-only
"""The keys that a kernel trusts on a machine: those in its image, those of the machine's owner and firmware, those that
are shown of the running kernel. Imports cryptography.

Counterpart: security/integrity/platform_certs (keyring_handler.c, machine_keyring.c, load_uefi.c),
certs/system_keyring.c, kernel/module/signing.c (mod_verify_sig). A module's signature is looked up in the secondary
ring, which the built-in one and `.machine` are part of, and in Linux as published not in `.platform`; distributions
change that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.signing.anchors import load_certificates
from kbuildpy.signing.certificates import Certificate, parse_certificate
from kbuildpy.signing.efi import SignatureList, parse_signature_lists
from kbuildpy.signing.keyring import Keyring
from kbuildpy.which.answer import KeyPlace
from kbuildpy.which.efi_variables import EfiVariable, Firmware, read_firmware
from kbuildpy.which.live_keys import BUILT_IN, MACHINE, PLATFORM, SECONDARY, LiveKey, LiveKeys, read_live_keys

_OWNER_KEYS, _ALLOWED = "MOK", "db"


class _FirmwareKeys(NamedTuple):
    """The certificates of a list of the firmware's, and whether the kernel takes them for modules."""

    name: str
    certificates: tuple[Certificate, ...]
    taken: bool | None
    why: str
    in_platform: frozenset[str] | None = None
    """What the kernel calls those of them by that are in `.platform` only; None where it does not tell the rings."""

    def only(self, identifiers: Collection[str]) -> _FirmwareKeys:
        """Those that the kernel calls by one of `identifiers`."""
        return self._replace(certificates=tuple(each for each in self.certificates if _identifier(each) in identifiers))


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
    own = built_in or Keyring.of(kernel.release)
    lists = [
        _FirmwareKeys(name, certificates, *_is_taken(name, kernel, firmware, takes_platform))
        for name, variable in ((_OWNER_KEYS, firmware.owner_keys), (_ALLOWED, firmware.allowed))
        if (certificates := _certificates(variable, unread))
    ]
    enrolled = {file: load_certificates(file) for file in files}
    named = [item for certificates in enrolled.values() for item in certificates]
    revoked = _revocations(kernel, firmware, unread)
    unread += firmware.problems
    if firmware.is_efi is None:
        unread.append("keys of the machine (MOK, db, dbx): no /sys to read them from")
    blacklist = frozenset(revoked.hashes)
    shown: tuple[str, ...] = ()
    if runs:
        live = read_live_keys(system)
        blacklist |= live.blacklist
        if live.problem:
            unread.append(f"keys that were added to the running kernel: {live.problem}")
        else:
            lists, shown, unknown = _as_shown(live, (*own.certificates, *named), lists, takes_platform)
            unread += unknown
    places = [KeyPlace("built-in", _names(own.certificates), True)] if built_in else []
    places += [KeyPlace(each.name, _names(each.certificates), each.taken, each.why) for each in lists]
    places += [KeyPlace(str(file), _names(certificates), True) for file, certificates in enrolled.items()]
    if shown:
        places.append(KeyPlace("running kernel", shown, True))
    trusted, platform = _by_ring([each for each in lists if each.taken], kernel, firmware)
    keyring = replace(
        own.plus([*trusted, *named], platform=platform, revoked=_parsed(revoked, "dbx"), blacklist=blacklist),
        takes_platform=bool(takes_platform),
    )
    has_any = built_in is not None or trusted or platform or named
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
        if _has_machine_ring(kernel, firmware):
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


def _has_machine_ring(kernel: LoaderKernel, firmware: Firmware) -> bool:
    """Whether the owner's keys get into `.machine`."""
    return bool(kernel.has("INTEGRITY_MACHINE_KEYRING") and firmware.owner_keys_trusted)


def _by_ring(
    lists: Sequence[_FirmwareKeys], kernel: LoaderKernel, firmware: Firmware
) -> tuple[list[Certificate], list[Certificate]]:
    """The certificates that are in the rings for modules, and those that are in `.platform` only."""
    trusted: list[Certificate] = []
    platform: list[Certificate] = []
    for each in lists:
        is_machine = each.name == _OWNER_KEYS and _has_machine_ring(kernel, firmware)
        for item in each.certificates:
            alone = not is_machine if each.in_platform is None else _identifier(item) in each.in_platform
            (platform if alone else trusted).append(item)
    return trusted, platform


def _as_shown(
    live: LiveKeys, own: Sequence[Certificate], lists: Sequence[_FirmwareKeys], takes_platform: bool | None
) -> tuple[list[_FirmwareKeys], tuple[str, ...], list[str]]:
    """What the running kernel has made of `lists`; the keys that it shows as trusted; what stays unknown of them."""
    if BUILT_IN not in live.members or SECONDARY not in live.members:
        # (a key that is not shown at all was not taken)
        all_shown = {key.identifier for key in live.keys}
        return [each.only(all_shown) for each in lists], (), ["which ring a key is in: keyctl(2) does not tell"]
    rings = [SECONDARY, BUILT_IN, MACHINE, *([PLATFORM] if takes_platform else [])]
    trusted: dict[str, LiveKey] = {key.identifier: key for ring in rings for key in live.members.get(ring, ())}
    others = {key.identifier for ring in (SECONDARY, BUILT_IN, MACHINE) for key in live.members.get(ring, ())}
    alone = frozenset(trusted.keys() - others)
    found = [each.only(trusted.keys())._replace(taken=True, why="", in_platform=alone) for each in lists]
    known = {_identifier(item) for item in (*own, *(item for each in found for item in each.certificates))}
    unknown = [
        f"the certificate of {key.subject} ({identifier}), which the running kernel trusts: name it with --cert"
        for identifier, key in trusted.items()
        if identifier not in known
    ]
    if live.members.get(PLATFORM) and takes_platform is None:
        unknown.append("whether this kernel takes keys of .platform for modules")
    return [each for each in found if each.certificates], tuple(key.subject for key in trusted.values()), unknown


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
