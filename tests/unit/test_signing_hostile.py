# SPDX-License-Identifier: GPL-2.0-only
"""Files that somebody made to break what reads them: each is one result, and the others get theirs."""

from __future__ import annotations

import datetime
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from kbuildpy.cli import main
from kbuildpy.errors import KbuildError
from kbuildpy.run import run
from kbuildpy.signing import asn1, cms
from kbuildpy.signing import verify as verifying
from kbuildpy.signing.batch import sign_files
from kbuildpy.signing.certificates import Certificate, KeySignature
from kbuildpy.signing.file_key import FileKey, load_key
from kbuildpy.signing.hashes import Hash, find_hash
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.manifest import Manifest, ManifestLine, compare_manifest, read_manifest
from kbuildpy.signing.refused import Refused
from kbuildpy.signing.signer import Signer
from kbuildpy.signing.signer_certificate import checked_certificate
from kbuildpy.signing.structures import SIGNED_DATA, ContentInfo, SignedData, SignerInfo
from kbuildpy.signing.trailer import append_signature, without_signatures
from kbuildpy.signing.verify import verify, verify_files
from tests.support.manifests import ENTRY
from tests.support.signatures import MODULE, certificate, key, rsa_signer, trusted


# (what kernels answer to these: tests/vm/test_signatures.py)
@pytest.mark.parametrize(
    "signature", ["", "30", "3081", "30810106", "3082000106", "30810206", "3081020601", "30840000000106", "30ff06"]
)
def test_a_signature_of_a_few_bytes_is_refused_like_any_other(signature: str) -> None:
    (state,) = verify(append_signature(MODULE, bytes.fromhex(signature)), [Keyring()])
    assert (state.signed, state.valid, state.errno) == (True, False, "EBADMSG")


def test_a_file_full_of_empty_signatures_is_read_in_one_go() -> None:
    hostile = MODULE + append_signature(b"", b"") * 200_000
    began = time.process_time()
    assert without_signatures(hostile) == MODULE
    # (with a copy for each it takes 20 s)
    assert time.process_time() - began < 5
    with pytest.raises(Refused, match="only 0 before its end"):
        without_signatures(append_signature(b"", b"") * 2)


def test_a_file_that_nobody_foresaw_is_one_error_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [tmp_path / f"{number}.ko" for number in range(3)]
    for file in files:
        file.write_bytes(MODULE)
    real = verifying.verify_file

    def fails(path: Path, keyrings: Any) -> Any:
        if path == files[1]:
            raise IndexError("index out of range")
        return real(path, keyrings)

    monkeypatch.setattr(verifying, "verify_file", fails)
    results = dict(verify_files(files, [Keyring()]))
    error = results.pop(files[1])
    assert isinstance(error, KbuildError)
    assert error.message == f"{files[1]}: internal error (IndexError: index out of range)"
    assert all(isinstance(result, list) for result in results.values())
    assert len(results) == 2


def test_a_link_that_leads_to_itself_is_one_error_and_the_others_are_signed(tmp_path: Path) -> None:
    (tmp_path / "loop.ko").symlink_to("loop.ko")
    (tmp_path / "nowhere.ko").symlink_to("none")
    (tmp_path / "good.ko").write_bytes(MODULE)
    done = {item.path.name: item for item in sign_files(sorted(tmp_path.iterdir()), rsa_signer())}
    assert done["good.ko"].done
    for name, words in (("loop.ko", "Too many levels of symbolic links"), ("nowhere.ko", "No such file")):
        error = done[name].error
        assert error is not None and words in error.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.ko", "loop.ko", "nowhere.ko"]


def test_the_contents_are_hashed_once_for_all_signers(monkeypatch: pytest.MonkeyPatch) -> None:
    data = cms.parse(rsa_signer().detached(MODULE))
    [signer] = cms.signers(data)
    many = replace_signers(data, [signer] * 500)
    hashed: list[int] = []
    real = Hash.of

    def of(hash: Hash, contents: bytes) -> bytes:
        hashed.append(len(contents))
        return real(hash, contents)

    monkeypatch.setattr(Hash, "of", of)
    (state,) = verify(append_signature(MODULE, many), [trusted(certificate("rsa"))])
    assert state.trusted
    assert hashed == [len(MODULE)]


def chain_of(count: int) -> list[x509.Certificate]:
    """Certificates of one key, each signed in the name of the next, which it names by issuer and serial number."""
    found = []
    for number in range(count):
        names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, str(n))]) for n in (number, number + 1)]
        above = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, str(number + 2))])
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[0])
            .issuer_name(names[1])
            .public_key(key("ec").public_key())
            .serial_number(number + 1)
            .not_valid_before(datetime.datetime(2020, 1, 1))
            .not_valid_after(datetime.datetime(2030, 1, 1))
            .add_extension(x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(above)], number + 2), critical=False)
        )
        found.append(builder.sign(key("ec"), hashes.SHA256()))
    return found


@pytest.mark.parametrize("share", [True, False])
def test_a_chain_of_certificates_is_gone_through_once_for_all_signers(
    share: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signers have one certificate, or each has another of the chain."""
    count = 40
    chain = chain_of(count)
    data = cms.parse(Signer(FileKey("ecdsa", key("ec")), chain[0], find_hash("sha256")).detached(MODULE))
    [signer] = cms.signers(data)
    sids = [signer.sid if share else cms.issuer_and_serial(item) for item in chain]
    embedded = asn1.SetOf([asn1.decode_der(asn1.TLV, item.public_bytes(Encoding.DER)) for item in chain])
    many = replace_signers(data, [with_sid(signer, sid) for sid in sids], embedded)
    calls: list[object] = []
    real = Certificate.verifies

    def verifies(certificate: Certificate, signed: KeySignature) -> bool:
        calls.append(signed)
        return real(certificate, signed)

    monkeypatch.setattr(Certificate, "verifies", verifies)
    (state,) = verify(append_signature(MODULE, many), [Keyring()])
    assert (state.valid, state.errno) == (True, "ENOKEY")
    # (each signer's signature twice, once to tell whether it is intact, and each certificate's once)
    assert len(calls) == 2 * count + count - 1


def with_sid(signer: SignerInfo, sid: Any) -> SignerInfo:
    return SignerInfo(
        version=signer.version,
        sid=sid,
        digest_algorithm=signer.digest_algorithm,
        signed_attributes=signer.signed_attributes,
        signature_algorithm=signer.signature_algorithm,
        signature=signer.signature,
        unsigned_attributes=signer.unsigned_attributes,
    )


def replace_signers(data: Any, signers: list[Any], embedded: Any = None) -> bytes:
    changed = SignedData(
        version=data.version,
        digest_algorithms=data.digest_algorithms,
        content=data.content,
        certificates=embedded,
        crls=None,
        signer_infos=asn1.SetOf(signers),
    )
    return bytes(asn1.encode_der(ContentInfo(content_type=SIGNED_DATA, content=changed)))


ODD = [
    "5",
    "null",
    "[]",
    '"x"',
    "{}",
    "[" * 100_000,
    '{"a":' * 100_000,
    "1" * 10_000,
    json.dumps({**ENTRY, "path": 5}),
    json.dumps({**ENTRY, "path": None}),
    json.dumps({**ENTRY, "path": ["a"]}),
    json.dumps({**ENTRY, "path": ""}),
    json.dumps({**ENTRY, "path": "a\0b"}),
    json.dumps({**ENTRY, "path": "\ud800"}),
    json.dumps({**ENTRY, "sha256_after": None}),
    json.dumps({**ENTRY, "time": 5}),
    json.dumps({**ENTRY, "signer": {"a": 1}}),
    json.dumps({**ENTRY, "more": "x"}),
    '{"path": NaN}',
]


@pytest.mark.parametrize("line", ODD, ids=lambda line: line[:40])
def test_a_manifest_with_another_kind_of_line_is_refused_with_its_number(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "manifest"
    manifest.write_text(f"{json.dumps(ENTRY)}\n{line}\n")
    with pytest.raises(KbuildError, match=":2: not a line of a manifest"):
        read_manifest(manifest)
    assert main(["verify", "--manifest", str(manifest), "--cert", "none"]) == 1
    assert f"{manifest}:2: not a line of a manifest" in capsys.readouterr().err


def test_a_path_that_is_no_utf_8_is_one_of_this_system(tmp_path: Path) -> None:
    odd = tmp_path / "\udcff.ko"
    odd.write_bytes(b"a")
    manifest = tmp_path / "manifest"
    manifest.write_text(json.dumps({**ENTRY, "path": str(odd)}) + "\n")
    assert compare_manifest(manifest, [], []) == ([odd], {})


def test_a_path_may_be_spelled_in_several_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.ko").write_bytes(b"a")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifest").write_text(json.dumps({**ENTRY, "path": "sub/../a.ko"}) + "\n")
    for path in (Path("a.ko"), Path("sub/../a.ko"), tmp_path / "sub/../a.ko"):
        assert compare_manifest(Path("manifest"), [path], [path]) == ([path], {})


def test_a_manifest_on_a_full_disk_is_named(tmp_path: Path) -> None:
    place = tmp_path / "manifest"
    manifest = Manifest(place)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(KbuildError, match=f"^{place}: File too large: the manifest lacks modules"):
            manifest.add(ManifestLine(**{**ENTRY, "path": "b.ko"}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        manifest.close()


def test_a_key_that_is_too_small_for_the_digest_is_an_error(tmp_path: Path) -> None:
    run(["openssl", "genrsa", "-out", tmp_path / "k.pem", "512"])
    small = load_key(tmp_path / "k.pem", lambda _: None)
    assert small.sign(MODULE, find_hash("sha256"))
    with pytest.raises(KbuildError, match="an RSA key of 512 bits is too small for a signature with sha512"):
        small.sign(MODULE, find_hash("sha512"))


def test_a_serial_number_of_zero_is_no_warning(tmp_path: Path) -> None:
    """Python would print it with a line of cryptography's code."""
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=zero", "-set_serial", "0"]
    run(["openssl", *words, "-keyout", tmp_path / "k.pem", "-out", tmp_path / "c.pem"])
    (tmp_path / "m.ko").write_bytes(MODULE)
    words = ["sign", "m.ko", "--key", "k.pem", "--cert", "c.pem"]
    done = subprocess.run(
        [sys.executable, "-m", "kbuildpy", *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Warning" not in done.stderr


def test_a_module_that_was_named_itself_is_compared_and_missed(tmp_path: Path) -> None:
    here, gone, other = (tmp_path / f"{name}.ko" for name in ("here", "gone", "other"))
    here.write_bytes(b"a")
    manifest = tmp_path / "manifest"
    manifest.write_text("".join(json.dumps({**ENTRY, "path": str(path)}) + "\n" for path in (here, gone, other)))
    assert compare_manifest(manifest, [here], [here]) == ([here], {})
    good, wrong = compare_manifest(manifest, [here, gone], [here])
    assert (good, list(wrong)) == ([here], [gone])
    good, wrong = compare_manifest(manifest, [tmp_path], [here])
    assert (good, list(wrong)) == ([here], [gone, other])


def test_a_certificate_with_a_name_of_another_type_is_unreadable() -> None:
    whole = certificate("rsa", name="A signer").public_bytes(Encoding.DER)
    # The issuer's common name, a UTF8String (tag 12), becomes a BIT STRING (tag 3) without unused bits.
    changed = whole.replace(b"\x0c\x08A signer", b"\x03\x08\x00 signer", 1)
    assert changed != whole
    with pytest.raises(KbuildError, match=r"not an X\.509 certificate"):
        checked_certificate(changed, "odd.der")
