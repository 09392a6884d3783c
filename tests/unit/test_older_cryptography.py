# SPDX-License-Identifier: GPL-2.0-only
"""What an older cryptography does not tell of a certificate is read in another way; a newer one is the oracle."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import Certificate

from kbuildpy.errors import KbuildError
from kbuildpy.signing import ml_dsa
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.keygen import make_signing_key
from kbuildpy.signing.ml_dsa import new_ml_dsa_key
from kbuildpy.signing.signer_certificate import public_key_oid, signature_hash, validity

NEWER = ("not_valid_before_utc", "not_valid_after_utc", "public_key_algorithm_oid")


class Older:
    """A certificate as cryptography 38 shows it."""

    def __init__(self, newer: Certificate) -> None:
        self._newer = newer

    def __getattr__(self, name: str) -> Any:
        if name in NEWER:
            raise AttributeError(name)
        if name == "signature_hash_algorithm" and "2.16.840" in self._newer.signature_algorithm_oid.dotted_string:
            raise UnsupportedAlgorithm("an algorithm that came later")
        if name in ("not_valid_before", "not_valid_after"):
            return getattr(self._newer, f"{name}_utc").replace(tzinfo=None)
        return getattr(self._newer, name)


@pytest.mark.parametrize("hash", ["sha256", "sha3-256", "sha3-384", "sha3-512"])
@pytest.mark.parametrize("algorithm", ["rsa-2048", "p-256"])
def test_a_certificate_tells_the_same(algorithm: str, hash: str) -> None:
    certificate = make_signing_key(algorithm, common_name="A test", hash=hash).certificate
    if not hasattr(certificate, NEWER[0]):
        pytest.skip("cryptography is an older one")
    older: Any = Older(certificate)
    assert validity(older) == (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    assert public_key_oid(older) == certificate.public_key_algorithm_oid
    assert signature_hash(older) == signature_hash(certificate) == find_hash(hash)


def test_keys_that_cryptography_does_not_make_are_refused_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(ml_dsa, "import_module", missing)
    with pytest.raises(KbuildError, match=r"^ml-dsa-65: cryptography \S+ makes no such keys") as raised:
        new_ml_dsa_key("ml-dsa-65")
    assert "cryptography>=48" in raised.value.hint
