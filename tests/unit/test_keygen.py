# SPDX-License-Identifier: GPL-2.0-only
"""New keys and certificates, held against what openssl makes of the kernel's x509.genkey."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kbuildpy.errors import KbuildError
from kbuildpy.signing.certificates import parse_certificate
from kbuildpy.signing.file_key import load_key
from kbuildpy.signing.find_key import environment_passphrase, require_match
from kbuildpy.signing.keygen import ALGORITHMS, make_signing_key
from kbuildpy.signing.signer_certificate import load_certificate, signature_hash, validity
from tests.support.keys import ml_dsa_key

# certs/default_x509.genkey of the kernel tree, with a name of its own.
GENKEY = """
[ req ]
default_bits = 4096
distinguished_name = req_distinguished_name
prompt = no
string_mask = utf8only
x509_extensions = myexts

[ req_distinguished_name ]
CN = {name}

[ myexts ]
basicConstraints=critical,CA:FALSE
keyUsage=digitalSignature
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
MOK = "extendedKeyUsage=codeSigning,1.3.6.1.4.1.2312.16.1.2\n"
NAME = "Schlüssel & Söhne"
SECRET = "correct horse"

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def openssl(*words: str | Path, **variables: str) -> str:
    """What openssl prints; its status must be 0."""
    argv = ["openssl", *map(str, words)]
    done = subprocess.run(
        argv, capture_output=True, text=True, env={**os.environ, **variables}, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def knows_ml_dsa() -> bool:
    """Whether the openssl of this machine is 3.5 or later."""
    return "ML-DSA" in openssl("list", "-signature-algorithms")


def keygen(directory: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kbuildpy", "keygen", *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables}
    return subprocess.run(
        argv, cwd=directory, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL, check=False
    )


def skip_unless_made(algorithm: str) -> None:
    """Skip the test where cryptography makes no keys of an algorithm."""
    if algorithm.startswith("ml-dsa"):
        ml_dsa_key(algorithm)


def parts(certificate: x509.Certificate) -> dict[str, object]:
    """All of a certificate but serial number, times and signature."""
    begin, end = validity(certificate)
    return {
        "version": certificate.version,
        "subject": certificate.subject.public_bytes().hex(),
        "issuer": certificate.issuer.public_bytes().hex(),
        "key": certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "signed with": certificate.signature_algorithm_oid.dotted_string,
        "extensions": [
            (item.oid.dotted_string, item.critical, item.value.public_bytes().hex()) for item in certificate.extensions
        ],
        "valid for": end - begin,
    }


@pytest.mark.parametrize("mok", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_makes_the_certificate_that_openssl_makes_of_genkey(algorithm: str, mok: bool, tmp_path: Path) -> None:
    if algorithm.startswith("ml-dsa") and not knows_ml_dsa():
        pytest.skip("this openssl does not know ML-DSA")
    skip_unless_made(algorithm)
    made = make_signing_key(algorithm, common_name=NAME, mok=mok, hash="" if "ml-dsa" in algorithm else "sha512")
    key, config, theirs = (tmp_path / name for name in ("key.pem", "x509.genkey", "theirs.pem"))
    key.write_bytes(made.pem(None))
    config.write_text(GENKEY.format(name=NAME) + (MOK if mok else ""))
    # certs/Makefile, cmd_gen_key; with our key in place of a new one.
    options: list[str | Path] = [
        "-new",
        "-nodes",
        "-utf8",
        "-sha512",
        "-days",
        "36500",
        "-batch",
        "-x509",
        "-config",
        config,
    ]
    openssl("req", *options, "-key", key, "-outform", "PEM", "-out", theirs)
    assert parts(made.certificate) == parts(load_certificate(theirs))

    (tmp_path / "ours.pem").write_bytes(made.certificate.public_bytes(Encoding.PEM))
    texts = [openssl("x509", "-noout", "-text", "-in", path).split("X509v3 extensions")[1] for path in ours_and(theirs)]
    assert texts[0].split("Signature Algorithm")[0] == texts[1].split("Signature Algorithm")[0]
    openssl("verify", "-check_ss_sig", "-CAfile", tmp_path / "ours.pem", tmp_path / "ours.pem")


def ours_and(theirs: Path) -> tuple[Path, Path]:
    return theirs.with_name("ours.pem"), theirs


@pytest.mark.parametrize("algorithm", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_makes_ml_dsa_keys_of_that_size_with_the_same_extensions(algorithm: str) -> None:
    skip_unless_made(algorithm)
    made = make_signing_key(algorithm, common_name=NAME)
    usual = make_signing_key("p-256", common_name=NAME)
    made.certificate.verify_directly_issued_by(made.certificate)
    said = [[(item.oid, item.critical) for item in each.certificate.extensions] for each in (made, usual)]
    assert said[0] == said[1]
    assert (
        parts(made.certificate)["signed with"]
        == {
            "ml-dsa-44": "2.16.840.1.101.3.4.3.17",
            "ml-dsa-65": "2.16.840.1.101.3.4.3.18",
            "ml-dsa-87": "2.16.840.1.101.3.4.3.19",
        }[algorithm]
    )


@pytest.mark.parametrize("hash", ["sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
@pytest.mark.parametrize("algorithm", ["rsa-2048", "p-256"])
def test_signs_the_certificate_with_the_hash_that_is_named(algorithm: str, hash: str, tmp_path: Path) -> None:
    made = make_signing_key(algorithm, common_name=NAME, hash=hash)
    used = signature_hash(made.certificate)
    assert used is not None and used.name == hash
    path = tmp_path / "made.pem"
    path.write_bytes(made.certificate.public_bytes(Encoding.PEM))
    assert hash in openssl("x509", "-noout", "-text", "-in", path).lower()
    assert parse_certificate(made.certificate.public_bytes(Encoding.DER), "a test").signs_itself
    # (OpenSSL 3.0 verifies no certificate that is signed by ECDSA over SHA-3)
    if algorithm != "p-256" or "sha3" not in hash:
        openssl("verify", "-check_ss_sig", "-CAfile", path, path)


def test_writes_files_that_belong_together_and_only_its_owner_reads_the_key(tmp_path: Path) -> None:
    done = keygen(tmp_path, "-a", "p-256", "--cn", NAME, "--days", "30")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "signing_key.crt",
        "signing_key.pem",
        "signing_key.x509",
    ]
    assert (tmp_path / "signing_key.pem").stat().st_mode & 0o777 == 0o600
    key = load_key(tmp_path / "signing_key.pem", lambda _: None)
    certificate = load_certificate(tmp_path / "signing_key.crt")
    require_match(key, certificate, "the pair")
    assert (tmp_path / "signing_key.x509").read_bytes() == certificate.public_bytes(Encoding.DER)
    begin, end = validity(certificate)
    assert (end - begin).days == 30
    assert "BEGIN CERTIFICATE" not in (tmp_path / "signing_key.pem").read_text()


def test_says_what_mokutil_needs(tmp_path: Path) -> None:
    place = tmp_path / "my keys"
    place.mkdir()
    done = keygen(place, "mok.pem", "-a", "rsa-2048", "--mok")
    assert f"mokutil --import '{place}/mok.x509'" in done.stdout
    for name in ("sha256", "sha1"):
        line = openssl("x509", "-noout", "-fingerprint", f"-{name}", "-inform", "DER", "-in", place / "mok.x509")
        assert line.strip().split("=")[1].lower() in done.stdout


def test_puts_both_into_one_file_as_the_kernel_tree_has_them(tmp_path: Path) -> None:
    assert keygen(tmp_path, "-a", "p-384", "--combined").returncode == 0
    both = tmp_path / "signing_key.pem"
    require_match(load_key(both, lambda _: None), load_certificate(both), "both")
    openssl("pkey", "-in", both, "-noout")
    assert openssl("x509", "-in", both, "-noout", "-subject") == openssl(
        "x509", "-in", tmp_path / "signing_key.crt", "-noout", "-subject"
    )


@pytest.mark.parametrize("algorithm", ["rsa-2048", "p-521", "ml-dsa-65"])
def test_encrypts_the_key_with_the_passphrase_of_the_environment(algorithm: str, tmp_path: Path) -> None:
    skip_unless_made(algorithm)
    done = keygen(tmp_path, "-a", algorithm, "--encrypt", KBUILD_SIGN_PIN=SECRET)
    assert done.returncode == 0 and SECRET not in done.stdout + done.stderr
    path = tmp_path / "signing_key.pem"
    assert path.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert load_key(path, lambda _: SECRET).algorithm
    with pytest.raises(KbuildError, match="does not open"):
        load_key(path, lambda _: "wrong")
    if algorithm != "ml-dsa-65":
        openssl("pkey", "-in", path, "-noout", "-passin", "env:KBUILD_SIGN_PIN", KBUILD_SIGN_PIN=SECRET)


def test_takes_a_passphrase_that_is_no_text(tmp_path: Path) -> None:
    secret = os.fsdecode(b"\xff\xfe42")
    assert keygen(tmp_path, "-a", "p-256", "--encrypt", KBUILD_SIGN_PIN=secret).returncode == 0
    assert load_key(tmp_path / "signing_key.pem", lambda _: secret).algorithm == "ecdsa"
    openssl("pkey", "-in", tmp_path / "signing_key.pem", "-noout", "-passin", "env:PIN", PIN=secret)


@pytest.mark.parametrize(("again", "status"), [(SECRET, 0), ("other", 1)])
def test_asks_twice_for_a_passphrase(again: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KBUILD_SIGN_PIN", raising=False)
    argv = [sys.executable, "-m", "kbuildpy", "keygen", str(tmp_path / "k.pem"), "-a", "p-256", "--encrypt"]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(argv[0], argv)
    shown = b""
    for asked, answer in ((b"k.pem: ", SECRET), (b"once more: ", again)):
        while asked not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, answer.encode() + b"\n")
    try:
        while part := os.read(terminal, 1000):
            shown += part
    except OSError:
        pass  # the other side has ended
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status
    assert SECRET.encode() not in shown
    if status == 0:
        assert load_key(tmp_path / "k.pem", environment_passphrase(lambda _: SECRET)).algorithm == "ecdsa"
    else:
        assert b"differ" in shown and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["signing_key.pem", "signing_key.crt", "signing_key.x509"])
def test_overwrites_nothing_without_being_told(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("mine")
    done = keygen(tmp_path, "-a", "p-256")
    assert done.returncode == 1 and there in done.stderr and "--force" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    assert keygen(tmp_path, "-a", "p-256", "--force").returncode == 0
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["-a", "rsa-1024"], 2, "choose one of rsa-2048"),
        (["-a", "p-256", "--hash", "md5"], 2, "choose one of sha256"),
        (["-a", "ml-dsa-44", "--hash", "sha256"], 2, "remove --hash"),
        (["-a", "p-256", "--days", "0"], 2, "--days 36500"),
        (["-a", "p-256", "--days", "9999999999"], 2, "--days 36500"),
        (["-a", "p-256", "--cn", ""], 2, "1 to 64"),
        (["-a", "p-256", "--cn", "x" * 65], 2, "1 to 64"),
        (["-a", "p-256", "--cn", "a\nb"], 2, "printable"),
        (["key.crt"], 2, "such as signing_key.pem"),
        (["pkcs11:token=x"], 2, "the token's own tool"),
        (["none/key.pem", "-a", "p-256"], 1, "none/key.pem: No such file or directory"),
        (["-a", "p-256", "--encrypt"], 1, "KBUILD_SIGN_PIN"),
    ],
)
def test_refuses_wrong_calls_with_a_hint_and_writes_nothing(
    words: list[str], status: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KBUILD_SIGN_PIN", raising=False)
    done = keygen(tmp_path, *words)
    assert done.returncode == status
    assert said in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_helps_without_waiting_for_cryptography(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom kbuildpy.cli import main\n"
        "try:\n    main(['keygen', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in sys.modules if name.startswith(('cryptography', 'pkcs11', 'SCons'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
