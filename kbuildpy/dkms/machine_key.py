# SPDX-License-Identifier: GPL-2.0-only
"""The key that a machine signs its own modules with (MOK): DKMS' mok.key and mok.pub, made if they are not there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.dkms.places import DkmsPlaces
from kbuildpy.signing.choose_signer import choose_signer

if TYPE_CHECKING:
    from kbuildpy.signing.signer import Signer


def key_names(places: DkmsPlaces, settings: Mapping[str, str]) -> tuple[str, str]:
    """The key and the certificate, files or `pkcs11:` URIs, by the settings of framework.conf."""
    key = settings.get("mok_signing_key") or str(places.dkms_tree / "mok.key")
    certificate = settings.get("mok_certificate") or str(places.dkms_tree / "mok.pub")
    return key, certificate


def machine_signer(places: DkmsPlaces, settings: Mapping[str, str], *, kernel_hash: str) -> tuple[Signer, bool]:
    """The signer of this machine, for a kernel whose modules are signed with this digest; whether its key was made.

    Raises `KbuildError`.
    """
    key, certificate = key_names(places, settings)
    made = False
    if not key.startswith("pkcs11:") and not os.path.lexists(key) and not os.path.lexists(certificate):
        from kbuildpy.dkms.make_machine_key import make_machine_key  # (slow: cryptography)

        make_machine_key(Path(key), Path(certificate))
        made = True
    # (SHA-512 is what DKMS takes where the kernel does not tell)
    return choose_signer(key, certificate, "", kernel_hash=lambda: kernel_hash or "sha512"), made
