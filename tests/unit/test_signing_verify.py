# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel says of signatures, of every kind and in every state of decay."""

from __future__ import annotations

import gzip
import lzma
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from kbuildpy import cli
from kbuildpy.errors import KbuildError
from kbuildpy.signing import asn1
from kbuildpy.signing.certificates import parse_certificate
from kbuildpy.signing.describe import as_json, as_line
from kbuildpy.signing.hashes import HASHES, find_hash
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.signature_state import SignatureState
from kbuildpy.signing.verify import verify, verify_file, verify_files
from tests.support.signatures import (
    MODULE,
    certificate,
    damageable,
    misnamed,
    ours,
    signed,
    trusted,
    with_attributes,
)


def one(module: bytes, keyring: Keyring) -> SignatureState:
    (state,) = verify(module, [keyring])
    return state


@pytest.mark.parametrize("hash", [name for name in HASHES if name != "sha3-224"])
@pytest.mark.parametrize("kind", ["rsa", "ec", "ml-dsa"])
def test_an_intact_signature_by_a_trusted_certificate_is_trusted(kind: str, hash: str) -> None:
    state = one(signed(kind, hash), trusted(certificate(kind)))
    assert (state.signed, state.valid, state.trusted, state.reason, state.errno) == (True, True, True, None, None)
    assert (state.signer, state.serial, state.hash) == ("A signer", certificate(kind).serial_number, hash)


def test_a_certificate_is_found_by_its_key_identifier() -> None:
    state = one(signed(use_key_id=True), trusted(certificate("ec"), certificate("rsa")))
    assert state.trusted and state.signer == "A signer"
    assert one(signed(use_key_id=True), trusted(certificate("ec"))).errno == "ENOKEY"


def test_of_an_unknown_signer_nobody_can_tell_whether_the_signature_is_intact() -> None:
    damaged = signed().replace(MODULE[:64], b"X" * 64)
    for module in (signed(), damaged):
        state = one(module, trusted(certificate("ec", name="Somebody else")))
        assert (state.valid, state.trusted, state.errno) == (None, False, "ENOKEY")


def test_a_changed_module_is_not_valid() -> None:
    state = one(b"X" + signed()[1:], trusted(certificate("rsa")))
    assert (state.valid, state.trusted, state.errno) == (False, False, "EKEYREJECTED")


def test_an_unsigned_module_says_so() -> None:
    state = one(MODULE, trusted(certificate("rsa")))
    assert (state.signed, state.valid, state.trusted, state.errno) == (False, False, False, "ENODATA")


def test_another_certificate_for_the_same_name_and_number_is_not_the_signer() -> None:
    assert one(signed("rsa"), trusted(certificate("ec"))).errno == "EKEYREJECTED"


def test_the_kernel_does_not_look_at_the_clock() -> None:
    assert one(signed(), trusted(certificate("rsa", expired=True))).trusted


def test_a_kernel_that_does_not_know_an_algorithm_lacks_a_package() -> None:
    sha3 = find_hash("sha3-256")
    old = replace(trusted(certificate("rsa")), kernel="6.1", unknown=frozenset({sha3.oid}))
    state = one(signed(hash="sha3-256"), old)
    assert (state.valid, state.trusted, state.errno) == (True, False, "ENOPKG")
    assert state.reason and "sha3-256" in state.reason
    assert one(signed(), old).trusted


def test_a_kernel_without_a_verifier_of_ml_dsa_takes_no_such_signature() -> None:
    state = one(signed("ml-dsa"), replace(trusted(certificate("ml-dsa")), verifies_ml_dsa=False))
    assert (state.valid, state.trusted, state.errno) == (True, False, "EKEYREJECTED")
    assert state.reason and "CONFIG_CRYPTO_MLDSA" in state.reason
    assert one(signed("ml-dsa"), Keyring(verifies_ml_dsa=False)).errno == "ENOKEY"
    assert one(signed(), replace(trusted(certificate("rsa")), verifies_ml_dsa=False)).trusted


def test_one_look_answers_for_several_kernels() -> None:
    states = verify(signed(), [replace(trusted(certificate("rsa")), kernel="a"), Keyring(kernel="b")])
    assert [(state.kernel, state.trusted) for state in states] == [("a", True), ("b", False)]


# --- Revocation


def test_a_revoked_certificate_is_refused_though_it_is_trusted() -> None:
    keyring = trusted(certificate("rsa")).plus(revoked=[ours(certificate("rsa"))])
    state = one(signed(), keyring)
    assert (state.valid, state.trusted, state.errno) == (True, False, "EKEYREJECTED")
    assert state.reason and "revoked" in state.reason
    assert one(signed(), trusted(certificate("rsa")).plus(revoked=[ours(certificate("ec", name="Another"))])).trusted


def test_a_blacklisted_certificate_never_gets_into_the_keyring() -> None:
    state = one(signed(), trusted(certificate("rsa")).plus(blacklist=[ours(certificate("rsa")).tbs_hash]))
    assert (state.valid, state.trusted, state.errno) == (True, False, "ENOKEY")
    assert state.reason and "blacklisted" in state.reason


def test_a_blacklisted_module_is_refused() -> None:
    digest = find_hash("sha256").of(MODULE).hex()
    keyring = trusted(certificate("rsa")).plus(blacklist=[f"bin:{digest}"])
    assert (one(signed(), keyring).trusted, one(signed(), keyring).errno) == (False, "EPERM")
    assert one(signed(hash="sha512"), keyring).trusted


def test_a_kernel_looks_for_the_digest_of_the_whole_file_or_for_none() -> None:
    module = signed()
    words = [f"bin:{find_hash('sha256').of(contents).hex()}" for contents in (MODULE, module)]
    own = Keyring.of("6.12.117").plus([ours(certificate("rsa"))])
    assert [one(module, own.plus(blacklist=[word])).errno for word in words] == [None, None]
    patched = replace(own, refuses_files=True)
    assert [one(module, patched.plus(blacklist=[word])).errno for word in words] == [None, "EKEYREJECTED"]
    nobodys = trusted(certificate("rsa"))
    assert [one(module, nobodys.plus(blacklist=[word])).errno for word in words] == ["EPERM", "EKEYREJECTED"]


# --- Signed attributes


@pytest.mark.parametrize("version", [1, 3])
def test_the_version_tells_how_the_signer_is_named(version: int) -> None:
    assert one(misnamed(version), trusted(certificate("rsa"))).errno == "EINVAL"


def test_a_version_of_thousands_of_digits_is_refused() -> None:
    assert one(misnamed(1 << 20_000), trusted(certificate("rsa"))).errno == "EINVAL"


def test_signed_attributes_are_refused_but_by_kernels_that_waive_it_for_ml_dsa() -> None:
    for kind, waived in (("rsa", False), ("ec", False), ("ml-dsa", True)):
        keyring = trusted(certificate(kind))
        state = one(with_attributes(kind), keyring)
        assert (state.valid, state.trusted, state.errno) == (True, False, "EKEYREJECTED")
        assert one(with_attributes(kind), replace(keyring, waives_attributes=True)).trusted == waived


def test_signed_attributes_must_hold_the_digest_of_the_module() -> None:
    keyring = replace(trusted(certificate("ml-dsa")), waives_attributes=True)
    state = one(with_attributes("ml-dsa", digest=bytes(64)), keyring)
    assert (state.valid, state.trusted, state.errno) == (False, False, "EKEYREJECTED")
    assert one(with_attributes("ml-dsa", digest=bytes(63)), keyring).errno == "EBADMSG"


# --- Damage


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["rsa", "ec", "ml-dsa", "key identifier", "attributes", "certificates"]),
    st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=4),
    st.sampled_from([0, 0, 0, 1, 7, 300]),
)
def test_no_damage_is_trusted_or_breaks_anything(kind: str, changes: list[tuple[int, int]], lost: int) -> None:
    module = bytearray(damageable()[kind])
    start = len(MODULE) - 16
    for place, change in changes:
        module[start + place % (len(module) - start)] ^= change
    first = start + changes[0][0] % (len(module) - start)
    damaged = bytes(module[:first] + module[first + lost :])
    state = one(damaged, trusted(certificate(kind if kind in ("ec", "ml-dsa") else "rsa")))
    as_line("x.ko", state)
    as_json("x.ko", state)
    if state.trusted:
        # What no one reads may change: see the next test.
        assert damaged.startswith(MODULE)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), min_size=1, max_size=3))
def test_a_damaged_certificate_is_a_certificate_or_refused(changes: list[tuple[int, int]]) -> None:
    der = bytearray(certificate("rsa", name="leaf", issuer="ec").public_bytes(Encoding.DER))
    for place, change in changes:
        der[place % len(der)] ^= change
    with suppress(KbuildError):
        found = parse_certificate(bytes(der), "a test")
        if found.signed is not None:
            found.verifies(found.signed)


def test_every_changed_byte_of_an_rsa_signature_is_noticed() -> None:
    module = signed()
    keyring = trusted(certificate("rsa"))
    trusted_still = [
        place
        for place in range(len(MODULE), len(module))
        if one(module[:place] + bytes([module[place] ^ 1]) + module[place + 1 :], keyring).trusted
    ]
    # The list of digests in front is nobody's business: the signer tells its own (RFC 5652, section 5.1).
    oid = asn1.encode_der(x509.ObjectIdentifier(find_hash("sha256").oid))
    digests = module.index(bytes(oid), len(MODULE))
    assert all(digests <= place < digests + len(oid) for place in trusted_still), trusted_still


# --- Files


@pytest.mark.parametrize(
    ("suffix", "compress"), [("", bytes), (".xz", lzma.compress), (".gz", gzip.compress)], ids=["plain", "xz", "gz"]
)
def test_a_module_is_verified_through_its_compression(tmp_path: Path, suffix: str, compress: Any) -> None:
    path = tmp_path / f"x.ko{suffix}"
    path.write_bytes(compress(signed()))
    (state,) = verify_file(path, [trusted(certificate("rsa"))])
    assert state.trusted


def test_many_files_come_in_their_order_and_an_unreadable_one_stops_nothing(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.ko" for number in range(200)]
    for number, path in enumerate(paths):
        path.write_bytes(signed() if number % 3 else MODULE)
    paths[100].write_bytes(lzma.compress(signed())[:-20])
    paths[101].unlink()
    for jobs in (1, 2):
        results = list(verify_files(paths, [trusted(certificate("rsa"))], jobs=jobs))
        assert [path for path, _ in results] == paths
        for number, (_, result) in enumerate(results):
            if number in (100, 101):
                assert isinstance(result, Exception) and str(paths[number]) in str(result)
            else:
                assert isinstance(result, list) and result[0].trusted == bool(number % 3)


def test_the_count_of_an_unreadable_file_is_as_that_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kbuildpy.cli.verify_modules._keyrings", lambda args: [trusted(certificate("rsa")), Keyring()])
    (tmp_path / "cut.ko.xz").write_bytes(b"\xfd7zXZ\0\0\4")
    (tmp_path / "good.ko").write_bytes(signed())
    assert cli.main(["verify", str(tmp_path)]) == 1
    assert "1 of 4 trusted\n" in capsys.readouterr().err
