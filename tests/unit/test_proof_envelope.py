# SPDX-License-Identifier: GPL-2.0-only
"""DSSE envelopes, checked by OpenSSL and by in-toto's own implementation."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kbuildpy.errors import KbuildError
from kbuildpy.proof.envelope import PAYLOAD_TYPE, Envelope, pae, parse_envelope
from kbuildpy.proof.seal import require_signed, seal
from kbuildpy.run import run
from tests.support.keys import new_certificate, new_key, signer_of, write_pair

PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
HASHES = {"p256": "sha256", "p384": "sha384", "p521": "sha512", "rsa2048": "sha256"}


def test_the_encoding_is_that_of_the_specification() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


@pytest.mark.parametrize(("kind", "hash"), HASHES.items())
def test_openssl_accepts_the_signature(kind: str, hash: str, tmp_path: Path) -> None:
    signer = signer_of(write_pair(tmp_path, kind), "sha256")
    value = json.loads(seal(PAYLOAD, signer).text())
    key = signer.certificate.public_key()
    (tmp_path / "key.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "sig").write_bytes(base64.b64decode(value["signatures"][0]["sig"]))
    payload = base64.b64decode(value["payload"])
    (tmp_path / "pae").write_bytes(
        b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" " + payload
    )
    words = ["openssl", "dgst", f"-{hash}", "-verify", "key.pem", "-signature", "sig", "pae"]
    assert run(words, cwd=tmp_path).text == "Verified OK\n"
    assert payload == PAYLOAD


@pytest.mark.parametrize("kind", HASHES)
def test_in_totos_verifier_finds_the_key_and_accepts_the_signature(kind: str, tmp_path: Path) -> None:
    metadata = pytest.importorskip("in_toto.models.metadata")
    exceptions = pytest.importorskip("in_toto.exceptions")
    signers = pytest.importorskip("securesystemslib.signer")
    signer = signer_of(write_pair(tmp_path, kind), "sha256")
    # (for RSA its default is another padding)
    scheme = "rsa-pkcs1v15-sha256" if kind.startswith("rsa") else None
    key = signers.SSlibKey.from_crypto(signer.certificate.public_key(), scheme=scheme)
    envelope = metadata.Metadata.from_dict(json.loads(seal(PAYLOAD, signer).text()))
    # (it raises for a signature that is not by this key, and for one with another keyid)
    envelope.verify_signature({**key.to_dict(), "keyid": key.keyid})
    envelope.payload += b" "
    with pytest.raises(exceptions.SignatureVerificationError):
        envelope.verify_signature({**key.to_dict(), "keyid": key.keyid})


def test_ml_dsa_keys_sign_too(tmp_path: Path) -> None:
    key = new_key("ml-dsa-44")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pair = tmp_path / "pair.pem"
    pair.write_bytes(private + new_certificate(key, "x", hash=None).public_bytes(Encoding.PEM))
    signer = signer_of(pair, "sha512")
    envelope = parse_envelope(json.loads(seal(PAYLOAD, signer).text()), "x")
    assert require_signed(envelope, [signer.certificate], "x") == signer.certificate


def test_refuses_another_payload_another_type_and_another_key(tmp_path: Path) -> None:
    signer = signer_of(write_pair(tmp_path, "p256"), "sha256")
    (tmp_path / "other").mkdir()
    other = signer_of(write_pair(tmp_path / "other", "p256"), "sha256")
    envelope = seal(PAYLOAD, signer)
    assert require_signed(envelope, [other.certificate, signer.certificate], "x") == signer.certificate
    for wrong in (
        Envelope(PAYLOAD + b" ", PAYLOAD_TYPE, envelope.signatures),
        Envelope(PAYLOAD, "application/x", envelope.signatures),
        Envelope(PAYLOAD, PAYLOAD_TYPE, ()),
    ):
        with pytest.raises(KbuildError, match="not signed by"):
            require_signed(wrong, [signer.certificate], "x")
    with pytest.raises(KbuildError, match="not signed by the p256 key, or changed since"):
        require_signed(envelope, [other.certificate], "x")
