# SPDX-License-Identifier: GPL-2.0-only
"""Opens the key and the certificate that `choose_signer` was given."""

from __future__ import annotations

from collections.abc import Callable

from kbuildpy.signing.find_key import environment_passphrase, find_pair
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.private_key import Passphrase
from kbuildpy.signing.signer import Signer


def open_signer(
    key: str,
    certificate: str,
    hash: str,
    *,
    kernel_hash: Callable[[], str],
    use_key_id: bool,
    passphrase: Passphrase | None,
) -> Signer:
    """See `choose_signer`."""
    chosen = find_hash(hash) if hash else None
    opened, loaded = find_pair(key, certificate, environment_passphrase(passphrase))
    if chosen is None:
        chosen = find_hash("sha512" if opened.algorithm.startswith("ml-dsa") else kernel_hash() or "sha256")
    return Signer(opened, loaded, chosen, use_key_id)
