"""Who signs what is installed: the key that the tree names (CONFIG_MODULE_SIG_KEY), or one of the caller's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.installing import TreeSignature
from kbuildpy.signing.hashes import find_hash

if TYPE_CHECKING:
    from kbuildpy.signing.keys import Passphrase
    from kbuildpy.signing.signer import Signer


def open_signer(key: str, certificate: str, hash: str, *, passphrase: Passphrase | None = None) -> Signer:
    """The signer of the files `key` and `certificate` ("" where the key's file holds both), with the digest `hash`.

    `passphrase` is asked where KBUILD_SIGN_PIN does not tell. Raises `UsageError` for a digest or a key that modules
    are not signed with, `KbuildError` for files that hold no key or certificate, or not one that belongs to the other.
    """
    if key.startswith("pkcs11:"):
        raise UsageError(
            f"{key.partition(';')[0]}...: keys in hardware sign with `kbuildpy sign` only, not while installing"
        )
    # (cryptography takes its time to import)
    from kbuildpy.signing import keys
    from kbuildpy.signing.signer import Signer

    found = find_hash(hash)
    opened = keys.load_key(Path(key), keys.environment_passphrase(passphrase))
    loaded = keys.load_certificate(Path(certificate or key))
    keys.require_match(opened, loaded, f"{key}, {certificate}" if certificate else key)
    return Signer(opened, loaded, found)


def tree_signer(signature: TreeSignature | None) -> tuple[Signer | None, str]:
    """The tree's signer, or why there is none although the tree signs ("" where it does not).

    Headers packages come without a key. Kbuild installs external modules unsigned then, and lets sign-file complain of
    each (scripts/Makefile.modinst: cmd_sign).
    """
    if signature is None:
        return None, ""
    try:
        return open_signer(signature.key, signature.certificate, signature.hash), ""
    except KbuildError as error:
        return None, error.message
