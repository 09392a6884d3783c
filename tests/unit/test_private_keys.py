# SPDX-License-Identifier: GPL-2.0-only
"""Files that hold a private key are recognized, and neither copied nor packed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat, pkcs12

from kbuildpy.kbuild.source_copy import copy_sources, is_written, remove_copy
from kbuildpy.package.dkms_deb import read_sources, secrets_below
from kbuildpy.private_keys import has_private_key, is_private_key

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
PLAIN = serialization.NoEncryption()
LOCKED = serialization.BestAvailableEncryption(b"secret")


@pytest.mark.parametrize("key", [RSA, EC], ids=["rsa", "ec"])
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["pem", "der"])
@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "traditional"])
@pytest.mark.parametrize("cipher", [PLAIN, LOCKED], ids=["plain", "locked"])
def test_every_encoding_of_a_key_is_recognized(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    encoding: Encoding,
    form: PrivateFormat,
    cipher: serialization.KeySerializationEncryption,
) -> None:
    if (encoding, form, cipher) == (Encoding.DER, PrivateFormat.TraditionalOpenSSL, LOCKED):
        pytest.skip("there is no such file")
    assert has_private_key(key.private_bytes(encoding, form, cipher))


def test_keys_of_other_programs_are_recognized() -> None:
    assert has_private_key(RSA.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, PLAIN))
    assert has_private_key(pkcs12.serialize_key_and_certificates(b"key", RSA, None, None, LOCKED))
    plain = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, PLAIN)
    assert has_private_key(b"\xef\xbb\xbf" + plain)
    assert has_private_key(b"key: |\n" + plain.replace(b"-----BEGIN", b"  -----BEGIN"))
    for cipher in ("PBE-SHA1-3DES", "PBE-MD5-DES"):
        words = ["openssl", "pkcs8", "-topk8", "-outform", "DER", "-v1", cipher, "-passout", "pass:x"]
        words += ["-provider", "default", "-provider", "legacy"]
        done = subprocess.run(words, input=plain, capture_output=True, check=False)
        if done.returncode == 0:  # (not every openssl has the old ciphers)
            assert has_private_key(done.stdout), cipher
    certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert has_private_key(certificate + RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, PLAIN))


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"0",
        b"0\x82",
        b"int x;\n",
        b'static const char key[] =\n\t"-----BEGIN PRIVATE KEY-----\\n"\n\t"MC4CAQAw";\n',
        RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1),
        RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, PLAIN) + b"firmware",
        # a question for a time stamp (openssl ts -query)
        bytes.fromhex("3039020101303130" + "0d060960864801650304020105000420" + "11" * 32 + "0101ff"),
    ],
    ids=["empty", "short", "cut", "source", "string", "public pem", "public der", "public pkcs1", "longer", "time"],
)
def test_other_files_are_no_keys(contents: bytes) -> None:
    assert not has_private_key(contents)


def test_a_copy_of_sources_holds_no_key(tmp_path: Path) -> None:
    drv, out = tmp_path / "drv", tmp_path / "out"
    drv.mkdir()
    (drv / "drv.c").write_text("int x;\n")
    key = drv / "release.key"
    key.write_bytes(RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, PLAIN))
    for _ in range(2):
        copy = copy_sources(drv, out)
        assert [path.name for path in copy.iterdir()] == ["drv.c"]
        assert not is_written(drv, out)
        shutil.copy2(key, copy)  # (as versions before left it)
    remove_copy(out)
    assert not copy.exists()
    assert (key.exists(), copy_sources(drv, out)) == (True, copy)


def test_a_package_of_sources_has_no_key(tmp_path: Path) -> None:
    (tmp_path / "drv.c").write_text("int x;\n")
    (tmp_path / "key.pem").write_bytes(EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, PLAIN))
    (tmp_path / "pin").write_text("1234")
    (tmp_path / "pin").chmod(0o600)
    (tmp_path / "vector.c").write_bytes(b"/*\n" + EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, PLAIN) + b"*/\n")
    assert is_private_key(tmp_path / "key.pem")
    assert [file.path for file in read_sources(tmp_path, {})] == ["drv.c", "pin", "vector.c"]
    assert secrets_below(tmp_path) == (["key.pem"], ["pin"])
    for name in ("drv.c", "vector.c"):
        (tmp_path / name).chmod(0o600)  # (where nothing may be read by others, nothing stands out)
    assert secrets_below(tmp_path) == (["key.pem"], [])
