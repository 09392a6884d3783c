# SPDX-License-Identifier: GPL-2.0-only
"""Opens the key and the certificate that `choose_signer` was given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.x509 import Certificate

from kbuildpy.signing.find_key import environment_passphrase, find_pair
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.key_name import is_pkcs11_uri
from kbuildpy.signing.private_key import Passphrase
from kbuildpy.signing.read_file import read_small_file
from kbuildpy.signing.signer import Signer
from kbuildpy.signing.signer_certificate import further_certificates


def open_signer(
    key: str,
    certificate: str,
    hash: str,
    *,
    kernel_hash: Callable[[], str],
    use_key_id: bool,
    embed: bool,
    passphrase: Passphrase | None,
) -> Signer:
    """See `choose_signer`."""
    chosen = find_hash(hash) if hash else None
    opened, loaded = find_pair(key, certificate, environment_passphrase(passphrase))
    if chosen is None:
        chosen = find_hash("sha512" if opened.algorithm.startswith("ml-dsa") else kernel_hash() or "sha256")
    embedded = (loaded, *_behind(certificate or key, loaded)) if embed else ()
    return Signer(opened, loaded, chosen, use_key_id, embedded)


def _behind(name: str, first: Certificate) -> tuple[Certificate, ...]:
    """The certificates behind the `first` one in the file `name`: those between a delegate and an enrolled key. A token
    has none, and of a pipe nothing is left."""
    path = Path(name)
    if is_pkcs11_uri(name) or not path.is_file():
        return ()
    found = further_certificates(read_small_file(path), name)
    return tuple(each for each in found if each != first)
