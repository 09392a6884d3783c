# SPDX-License-Identifier: GPL-2.0-only
"""Chains of certificates that come with a signature, and what a kernel trusts of them, without any kernel."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.signing import asn1, cms
from kbuildpy.signing.batch import save_detached, sign_files
from kbuildpy.signing.certificates import Certificate, parse_certificate
from kbuildpy.signing.file_key import FileKey
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.intact import is_intact
from kbuildpy.signing.keyring import NOWHERE, Keyring, find
from kbuildpy.signing.manifest import digest, new_line
from kbuildpy.signing.public_key import key_algorithm
from kbuildpy.signing.read_file import read_small_file
from kbuildpy.signing.signature_state import SignatureState
from kbuildpy.signing.signer import Signer
from kbuildpy.signing.structures import (
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    SIGNED_DATA,
    Attribute,
    ContentInfo,
    SignedData,
    SignerInfo,
)
from kbuildpy.signing.trailer import append_signature, split_signature
from kbuildpy.signing.verify import verify
from tests.support.keys import ml_dsa_key

MODULE = b"\x7fELF" + bytes(500)
SHA256 = find_hash("sha256")
ENVELOPED_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.3")


@cache
def key(name: str) -> Any:
    if name.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if name.startswith("ml-dsa"):
        return ml_dsa_key("ml-dsa-44")
    return ec.generate_private_key(ec.SECP256R1())


@cache
def certificate(
    name: str,
    issuer: str = "",
    *,
    signed_by: str = "",
    serial: int = 1,
    names_key: bool = True,
    key_of: str = "",
    hash: str = "sha256",
) -> x509.Certificate:
    """The certificate of the key `name`, issued by the one called `issuer` (default: itself) and signed with its key,
    or a forger's `signed_by`. `names_key`: it tells the identifier of the issuer's key."""
    start = datetime.datetime(2001, 1, 1)
    own = key(key_of or name)
    above = key(signed_by or issuer or name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer or name)]))
        .public_key(own.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=40000))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
    )
    if issuer and names_key:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key(issuer).public_key())
        builder = builder.add_extension(identifier, critical=False)
    chosen: Any = None if (signed_by or issuer or name).startswith("ml-dsa") else find_hash(hash).algorithm()
    return builder.sign(above, chosen)


def ours(found: x509.Certificate) -> Certificate:
    return parse_certificate(found.public_bytes(Encoding.DER), "a test")


def ring(*certificates: x509.Certificate, **facts: Any) -> Keyring:
    return Keyring(certificates=tuple(map(ours, certificates)), **facts)


def signature(name: str, by: x509.Certificate, *, hash: str = "sha256", contents: bytes = MODULE) -> bytes:
    """A CMS message of the key `name`, as the certificate `by`."""
    return cms.sign(contents, FileKey(key_algorithm(key(name)), key(name)), by, find_hash(hash))


def rebuilt(message: SignedData, *embedded: x509.Certificate, **fields: Any) -> bytes:
    """The message with certificates, and with other `fields` of its signer."""
    (info,) = cms.signers(message)
    info = SignerInfo(**{**{name: getattr(info, name) for name in SignerInfo.__annotations__}, **fields})
    tlvs = [asn1.decode_der(asn1.TLV, item.public_bytes(Encoding.DER)) for item in embedded]
    same = {name: getattr(message, name) for name in SignedData.__annotations__}
    data = SignedData(
        **{**same, "certificates": asn1.SetOf(tlvs) if tlvs else None, "signer_infos": asn1.SetOf([info])}
    )
    return bytes(asn1.encode_der(ContentInfo(content_type=SIGNED_DATA, content=data)))


def with_chain(*embedded: x509.Certificate, name: str = "rsa leaf", broken: bool = False) -> bytes:
    """A module that the first of `embedded` has signed, with all of them in its signature."""
    message = signature(name, embedded[0], contents=b"other" if broken else MODULE)
    return append_signature(MODULE, rebuilt(cms.parse(message), *embedded))


def state(module: bytes, keyring: Keyring) -> SignatureState:
    (found,) = verify(module, [keyring])
    return found


def outcome(module: bytes, keyring: Keyring) -> tuple[str | None, str]:
    found = state(module, keyring)
    assert found.trusted == (found.errno is None) == (found.reason is None)
    return found.errno, found.reason or ""


LEAF = certificate("rsa leaf", "root", serial=20)
ROOT = certificate("root")
MIDDLE = certificate("middle", "root", serial=21)
LOWER = certificate("rsa leaf", "middle", serial=2)


# --- Chains


def test_who_signed_the_signers_certificate_may_be_trusted_instead() -> None:
    module = with_chain(LEAF)
    assert outcome(module, ring(ROOT)) == (None, "")
    assert state(module, ring(ROOT)).valid
    assert outcome(module, ring(LEAF)) == (None, "")
    assert outcome(module, ring()) == ("ENOKEY", "no trusted certificate is the signer's")


@pytest.mark.parametrize("trusted", [ROOT, MIDDLE, LOWER])
def test_any_certificate_of_a_chain_may_be_the_trusted_one(trusted: x509.Certificate) -> None:
    assert outcome(with_chain(LOWER, MIDDLE, ROOT), ring(trusted)) == (None, "")
    assert outcome(with_chain(LOWER, MIDDLE), ring(trusted)) == (None, "")


def test_a_delegates_signature_without_its_certificate_says_what_is_missing() -> None:
    module = append_signature(MODULE, signature("rsa leaf", LEAF))
    errno, reason = outcome(module, ring(ROOT))
    assert errno == "ENOKEY"
    assert "'root', which has issued it, is the name of a trusted one" in reason and "--embed-certificates" in reason
    # The part of a ring that is kept with a verdict says the same.
    signer = ours(LEAF).identifier
    assert outcome(module, ring(ROOT, MIDDLE).restricted_to(frozenset({signer}))) == (errno, reason)
    assert outcome(module, ring(MIDDLE)) == ("ENOKEY", "no trusted certificate is the signer's")
    assert "has issued" not in outcome(with_chain(LEAF), ring(MIDDLE))[1]


def test_without_the_one_between_the_root_vouches_for_nothing() -> None:
    assert outcome(with_chain(LOWER), ring(ROOT))[0] == "ENOKEY"


def test_a_certificate_that_names_only_its_issuer_leads_nowhere() -> None:
    lower = certificate("rsa leaf", "middle", serial=3, names_key=False)
    assert outcome(with_chain(lower, MIDDLE), ring(ROOT))[0] == "ENOKEY"


def test_a_forged_certificate_in_the_chain_is_noticed() -> None:
    forged = certificate("rsa leaf", "middle", signed_by="forger", serial=4)
    errno, reason = outcome(with_chain(forged, MIDDLE), ring(ROOT))
    assert (errno, reason) == ("EKEYREJECTED", "a certificate that comes with the signature is forged")


def test_a_trusted_certificate_that_did_not_sign_the_one_below_is_not_enough() -> None:
    forged = certificate("rsa leaf", "root", signed_by="forger", serial=5)
    assert outcome(with_chain(forged), ring(ROOT))[0] == "EKEYREJECTED"


def test_a_changed_module_is_noticed_by_the_certificate_that_came_along() -> None:
    errno, reason = outcome(with_chain(LEAF, broken=True), ring(ROOT))
    assert (errno, reason) == ("EKEYREJECTED", "the signature is broken, or the module was changed")
    assert state(with_chain(LEAF, broken=True), ring()).valid is False


def test_a_certificate_that_signs_itself_ends_the_chain() -> None:
    assert outcome(with_chain(certificate("rsa leaf", serial=6)), ring(ROOT))[0] == "ENOKEY"


def test_a_circle_of_certificates_ends() -> None:
    one, two = certificate("rsa leaf", "middle", serial=7), certificate("middle", "rsa leaf")
    assert outcome(with_chain(one, two), ring(ROOT))[0] == "ENOKEY"


@pytest.mark.parametrize("place", [0, 1])
def test_a_blacklisted_certificate_in_the_chain_is_refused(place: int) -> None:
    chain = (LOWER, MIDDLE)
    keyring = ring(ROOT).plus(blacklist=[ours(chain[place]).tbs_hash])
    errno, reason = outcome(with_chain(*chain), keyring)
    assert (errno, reason) == ("EKEYREJECTED", "a certificate that comes with the signature is blacklisted")
    assert outcome(with_chain(*chain), ring(ROOT).plus(blacklist=["tbs:00"]))[0] is None


def test_whom_a_revoked_certificate_vouches_for_is_revoked() -> None:
    module = with_chain(LEAF)
    assert outcome(module, ring(LEAF).plus(revoked=[ours(ROOT)])) == ("EKEYREJECTED", "its certificate is revoked")
    assert outcome(module, ring(LEAF).plus(revoked=[ours(MIDDLE)]))[0] is None


def test_one_signer_of_two_who_is_not_blacklisted_is_enough() -> None:
    one, two = (certificate(f"rsa {name}", "root", serial=serial) for name, serial in (("one", 30), ("two", 31)))
    first, second = (cms.parse(signature(f"rsa {name}", by)) for name, by in (("one", one), ("two", two)))
    tlvs = [asn1.decode_der(asn1.TLV, item.public_bytes(Encoding.DER)) for item in (one, two)]
    same = {name: getattr(first, name) for name in SignedData.__annotations__}
    signers = asn1.SetOf([*cms.signers(first), *cms.signers(second)])
    message = SignedData(**{**same, "certificates": asn1.SetOf(tlvs), "signer_infos": signers})
    module = append_signature(MODULE, bytes(asn1.encode_der(ContentInfo(content_type=SIGNED_DATA, content=message))))
    keyring = ring(ROOT)
    assert outcome(module, keyring)[0] is None
    words = [ours(item).tbs_hash for item in (one, two)]
    assert outcome(module, keyring.plus(blacklist=words[:1]))[0] is None
    assert outcome(module, keyring.plus(blacklist=words))[0] == "EKEYREJECTED"


@pytest.mark.parametrize(("release", "errno"), [("6.1.0-56-amd64", None), ("6.5.13", None), ("6.6.0", "EKEYREJECTED")])
def test_a_signer_that_a_ring_for_modules_has_is_revoked_from_6_6_on(release: str, errno: str | None) -> None:
    keyring = Keyring.of(release).plus([ours(LEAF)], revoked=[ours(LEAF)])
    assert outcome(with_chain(LEAF), keyring)[0] == errno


def test_a_kernel_without_a_list_of_revoked_certificates_revokes_none() -> None:
    keyring = Keyring.of("6.12.117").plus([ours(LEAF)], revoked=[ours(LEAF)])
    assert outcome(with_chain(LEAF), replace(keyring, revokes=NOWHERE)) == (None, "")
    platform = replace(Keyring.of("6.12.117"), takes_platform=True, revokes=NOWHERE)
    assert outcome(with_chain(LEAF), platform.plus(platform=[ours(LEAF)], revoked=[ours(LEAF)])) == (None, "")


@pytest.mark.parametrize("release", ["6.1.0-56-amd64", "6.12.117"])
def test_a_signer_of_the_platform_is_looked_for_last_and_revoked_in_each_version(release: str) -> None:
    keyring = replace(Keyring.of(release), takes_platform=True).plus(platform=[ours(LEAF)])
    module = with_chain(LEAF)
    assert outcome(module, keyring) == (None, "")
    assert outcome(module, replace(keyring, takes_platform=False))[0] == "ENOKEY"
    assert outcome(module, keyring.plus(revoked=[ours(LEAF)])) == ("EKEYREJECTED", "its certificate is revoked")
    nowhere = replace(keyring, platform=()).plus(revoked=[ours(LEAF)])
    assert outcome(module, nowhere)[0] == "EKEYREJECTED"
    assert outcome(module, keyring.plus(blacklist=[ours(LEAF).tbs_hash]))[0] == "EKEYREJECTED"


@pytest.mark.parametrize(
    ("release", "words"),
    [("6.12.117", {"signed"}), ("7.0.0", {"sha256"}), ("", {"signed", "sha256"})],
)
def test_a_blacklist_has_a_certificate_by_the_digest_of_its_signature_until_7_0(release: str, words: set[str]) -> None:
    found = ours(certificate("rsa leaf", "root", serial=9, hash="sha512"))
    contents = found._parsed.tbs_certificate_bytes
    by = {"signed": hashlib.sha512(contents).hexdigest(), "sha256": hashlib.sha256(contents).hexdigest()}
    keyring = Keyring.of(release)
    refused = {word for word, digest in by.items() if keyring.plus(blacklist=[f"tbs:{digest}"]).is_blacklisted(found)}
    assert refused == words


def test_of_certificates_that_share_their_names_the_first_counts() -> None:
    other = certificate("rsa leaf", "root", serial=20, key_of="rsa other")
    assert ours(other).identifier == ours(LEAF).identifier
    # (a SET is sorted, which decides who is the first)
    embedded = sorted((LEAF, other), key=lambda item: item.public_bytes(Encoding.DER))
    found = state(with_chain(LEAF, other), ring())
    assert found.valid == (embedded[0] == LEAF)
    assert found.errno == ("ENOKEY" if embedded[0] == LEAF else "EKEYREJECTED")


# --- What a kernel cannot do


def test_a_trusted_certificate_that_the_kernel_cannot_verify_with_is_refused() -> None:
    by = certificate("leaf", "root", serial=8)
    module = append_signature(MODULE, signature("leaf", by))
    assert outcome(module, ring(by)) == (None, "")
    errno, reason = outcome(module, ring(by, verifies=frozenset(), parses=frozenset(("p256",))))
    assert errno == "EKEYREJECTED"
    assert reason.startswith("its certificate has an ECDSA key, and the kernel has nothing to verify with")


def test_a_certificate_that_came_along_must_be_one_that_the_kernel_can_use() -> None:
    by = certificate("leaf", "root", serial=8)
    module = with_chain(by, name="leaf")
    errno, reason = outcome(module, ring(by, verifies=frozenset(), parses=frozenset(("p256",))))
    assert errno == "ENOENT"
    assert reason.startswith("a certificate that comes with the signature has an ECDSA key")
    errno, reason = outcome(module, ring(by, verifies=frozenset(), parses=frozenset()))
    assert errno == "ENOPKG"
    assert reason.startswith("a certificate that comes with the signature cannot be loaded: it has a key on a curve")


def test_an_identifier_that_the_other_contradicts_finds_nothing() -> None:
    leaf, root = ours(LEAF), ours(ROOT)
    rings = {leaf.identifier: leaf}
    assert leaf.subject_key is not None and root.subject_key is not None
    assert find(rings, leaf.identifier).certificate is leaf
    assert find(rings, leaf.identifier, leaf.subject_key).certificate is leaf
    assert find(rings, leaf.identifier, root.subject_key) == (None, True)
    assert find(rings, root.identifier, leaf.subject_key) == (None, False)
    assert find(rings, None, None) == (None, False)


# --- Signed attributes


def attribute(kind: Any, value: Any) -> Attribute:
    return Attribute(type=kind, values=asn1.SetOf([asn1.decode_der(asn1.TLV, asn1.encode_der(value))]))


def test_a_signed_attribute_that_is_there_twice_is_refused() -> None:
    digest = attribute(MESSAGE_DIGEST, SHA256.of(MODULE))
    twice = [attribute(CONTENT_TYPE, DATA), digest, attribute(MESSAGE_DIGEST, bytes(32))]
    for attributes, errno in ((twice[:2], None), (twice, "EKEYREJECTED")):
        plain = cms.parse(signature("rsa leaf", LEAF))
        module = append_signature(MODULE, rebuilt(plain, signed_attributes=asn1.SetOf(attributes)))
        found = state(module, ring())
        assert (found.hash is None) == (errno is not None)
        if errno:
            assert (found.errno, found.reason) == (errno, "the signature has the same signed attribute twice")


def test_other_contents_show_in_signed_attributes_without_any_key() -> None:
    attributes = [attribute(CONTENT_TYPE, DATA), attribute(MESSAGE_DIGEST, bytes(32))]
    plain = cms.parse(signature("rsa leaf", LEAF))
    module = append_signature(MODULE, rebuilt(plain, signed_attributes=asn1.SetOf(attributes)))
    assert state(module, ring()).valid is False
    assert state(append_signature(MODULE, rebuilt(plain)), ring()).valid is None


def test_a_message_of_another_type_is_told_before_it_is_read() -> None:
    made = rebuilt(cms.parse(signature("rsa leaf", LEAF)))
    signed, enveloped = (bytes(asn1.encode_der(oid)) for oid in (SIGNED_DATA, ENVELOPED_DATA))
    found = state(append_signature(MODULE, made.replace(signed, enveloped, 1)), ring())
    assert (found.errno, found.valid) == ("EINVAL", False)
    assert found.reason == "the signature is a CMS message of another type than signed data"
    # What is in it may be broken then; of signed data it may not.
    broken = made[:30] + b"\xff" * 20 + made[50:]
    assert state(append_signature(MODULE, broken.replace(signed, enveloped, 1)), ring()).errno == "EINVAL"
    assert state(append_signature(MODULE, broken), ring()).errno == "EBADMSG"


# --- A signature that is there already


@pytest.mark.parametrize("name", ["rsa", "ec", "ml-dsa"])
def test_a_signature_is_intact_for_its_contents_and_its_key_only(name: str) -> None:
    own, other = certificate(name), certificate(f"{name} two")
    made = signature(name, own)
    assert is_intact(MODULE, made, own)
    assert not is_intact(MODULE + b"\0", made, own)
    assert not is_intact(MODULE, made, other)
    for kind in {"rsa", "ec", "ml-dsa"} - {name}:
        assert not is_intact(MODULE, made, certificate(kind))
    assert not is_intact(MODULE, b"nonsense", own)


def test_a_signature_must_be_of_the_algorithm_that_it_names() -> None:
    made = cms.parse(signature("ec", certificate("ec")))
    named = cms.signature_algorithm("ecdsa", find_hash("sha512"))
    assert not is_intact(MODULE, rebuilt(made, signature_algorithm=named), certificate("ec"))
    plain = cms.parse(signature("ml-dsa", certificate("ml-dsa"), hash="sha512"))
    assert is_intact(MODULE, rebuilt(plain), certificate("ml-dsa"))
    assert not is_intact(MODULE, rebuilt(plain, signature_algorithm=named), certificate("ml-dsa"))


# --- Certificates


def named(*attributes: x509.NameAttribute[str]) -> x509.Certificate:
    """A certificate of this name, without any extension."""
    name, start = x509.Name(attributes), datetime.datetime(2001, 1, 1)
    builder = x509.CertificateBuilder(name, name, key("ec").public_key(), 5, start, start + datetime.timedelta(1))
    return builder.sign(key("ec"), hashes.SHA256())


def test_a_certificate_needs_no_extension() -> None:
    found = ours(named(x509.NameAttribute(x509.NameOID.COMMON_NAME, "plain")))
    assert (found.name, found.serial, found.subject_key, found.authority) == ("plain", 5, None, (None, None))
    assert found.names_itself


def test_a_signer_is_called_by_the_common_name_else_by_all_of_the_name() -> None:
    common = x509.NameAttribute(x509.NameOID.COMMON_NAME, "A signer")
    place = x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "A place")
    names = [Signer(FileKey("ecdsa", key("ec")), named(*parts), SHA256).name for parts in ((place, common), (place,))]
    assert names == ["A signer", "O=A place"]


def test_a_line_of_a_manifest_names_who_signed() -> None:
    signer = Signer(FileKey("ecdsa", key("ec")), certificate("ec"), SHA256)
    line = new_line(Path("m.ko"), b"before", b"after", signer)
    assert (line.path, line.sha256_before, line.sha256_after) == ("m.ko", digest(b"before"), digest(b"after"))
    assert (line.signer, line.serial, line.hash, line.algorithm) == ("ec", "1", "sha256", "ecdsa")
    assert line.key_id == signer.key_id
    unsigned = new_line(Path("m.ko"), b"before", b"after", None)
    assert (unsigned.signer, unsigned.serial, unsigned.key_id, unsigned.hash, unsigned.algorithm) == (None,) * 5


# --- Files


def test_a_signed_file_is_signed_anew_only_when_that_is_asked_for(tmp_path: Path) -> None:
    module = tmp_path / "m.ko"
    one = Signer(FileKey("rsa", key("rsa")), certificate("rsa"), SHA256)
    two = replace(one, hash=find_hash("sha512"))
    module.write_bytes(MODULE)
    assert [(item.done, item.error) for item in sign_files([module], one)] == [(True, None)]
    before = module.read_bytes()
    (item,) = sign_files([module], two)
    assert item.error is not None and item.error.message == f"{module}: it is signed already"
    assert not item.done and module.read_bytes() == before
    assert [item.done for item in sign_files([module], two, replace=True)] == [True]
    taken = split_signature(module.read_bytes())
    assert taken is not None and taken.contents == MODULE


def test_a_signature_that_is_saved_beside_counts_as_done(tmp_path: Path) -> None:
    module = tmp_path / "m.ko"
    module.write_bytes(MODULE)
    signer = Signer(FileKey("rsa", key("rsa")), certificate("rsa"), SHA256)
    (item,) = save_detached([module], signer)
    assert (item.path, item.done, item.error) == (module, True, None)
    assert module.read_bytes() == MODULE
    assert is_intact(MODULE, (tmp_path / "m.ko.p7s").read_bytes(), certificate("rsa"))


def test_a_file_that_is_too_large_is_read_by_nobody(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 24)
    assert len(read_small_file(large)) == 1 << 24
    with large.open("ab") as file:
        file.write(b"x")
    with pytest.raises(KbuildError, match=f"^{large}: File too large"):
        read_small_file(large)


def test_a_file_that_is_not_there_has_both_hints(tmp_path: Path) -> None:
    (tmp_path / "signing_key.crt").touch()
    with pytest.raises(UsageError) as error:
        read_small_file(tmp_path / "signing_key.pem", absent="kbuildpy keygen makes one")
    assert error.value.hint == "did you mean signing_key.crt?\nkbuildpy keygen makes one"
