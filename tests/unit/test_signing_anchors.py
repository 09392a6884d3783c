# SPDX-License-Identifier: GPL-2.0-only
"""Certificates come in files of many kinds, and out of kernel images."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.kernel.image import unpack
from kbuildpy.kernel.module_files import find_modules
from kbuildpy.signing.anchors import load_certificates, load_directory, load_revocations
from kbuildpy.signing.kernel_image import find_certificates, load_kernel
from kbuildpy.signing.keyring import IN_PLATFORM, NOWHERE
from tests.support.signatures import certificate

FIRST = certificate("rsa").public_bytes(Encoding.DER)
SECOND = certificate("rsa", name="Second").public_bytes(Encoding.DER)
PEM = certificate("rsa").public_bytes(Encoding.PEM) + certificate("rsa", name="Second").public_bytes(Encoding.PEM)


def signature_list(kind: str, *entries: bytes) -> bytes:
    each = 16 + len(entries[0])
    body = b"".join(bytes(16) + entry for entry in entries)
    return UUID(kind).bytes_le + struct.pack("<III", 28 + len(body), 0, each) + body


MOK = signature_list("a5c059a1-94e4-4aa7-87b5-ab155c2bf072", FIRST) + signature_list(
    "a5c059a1-94e4-4aa7-87b5-ab155c2bf072", SECOND
)
DBX = signature_list("c1c41626-504c-4092-aca9-41f936934328", bytes([1]) * 32, bytes([2]) * 32) + signature_list(
    "3bd2a492-96c0-4079-b420-fcf98ef103ed", bytes([3]) * 32 + bytes(16)
)


@pytest.mark.parametrize(
    "contents",
    [PEM, b"Bag Attributes\n" + PEM, FIRST + SECOND, MOK, b"\x06\0\0\0" + MOK],
    ids=["PEM", "PEM with words around", "DER", "MOK list", "MOK list of efivarfs"],
)
def test_all_certificates_of_a_file_are_read(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "some").write_bytes(contents)
    assert [item.name for item in load_certificates(tmp_path / "some")] == ["A signer", "Second"]


@pytest.mark.parametrize(
    "contents", [b"", b"\x30\x03ab", FIRST[:-1], FIRST + SECOND[:-1], MOK[:-1], b"hello", PEM.replace(b"MII", b"MIX")]
)
def test_a_file_without_usable_certificates_is_named(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "some").write_bytes(contents)
    with pytest.raises(KbuildError, match="some: "):
        load_certificates(tmp_path / "some")


def test_a_directory_gives_what_mokutil_exports(tmp_path: Path) -> None:
    (tmp_path / "MOK-0001.der").write_bytes(FIRST)
    (tmp_path / "MOK-0002.der").write_bytes(SECOND)
    (tmp_path / "README").write_text("not this one")
    assert [item.name for item in load_directory(tmp_path)] == ["A signer", "Second"]
    with pytest.raises(UsageError):
        load_directory(tmp_path / "README")


def test_revocations_are_hashes_or_certificates(tmp_path: Path) -> None:
    (tmp_path / "dbx").write_bytes(DBX)
    hashes = (f"bin:{'01' * 32}", f"bin:{'02' * 32}", f"tbs:{'03' * 32}{'00' * 16}")
    assert load_revocations(tmp_path / "dbx").hashes == hashes
    (tmp_path / "list").write_text('"tbs:23aa429783",\n"bin:00ff"\n')
    assert load_revocations(tmp_path / "list").hashes == ("tbs:23aa429783", "bin:00ff")
    (tmp_path / "certificates").write_bytes(PEM)
    assert len(load_revocations(tmp_path / "certificates").certificates) == 2
    for bad in ("tbs:23AA", "tbs:123", f"bin:{'00' * 65}", "hello"):
        (tmp_path / "bad").write_text(bad)
        with pytest.raises(KbuildError):
            load_revocations(tmp_path / "bad")


# --- Kernel images


def blob(*certificates: bytes, module: int | None = None, room: int = 0, order: str = "little") -> bytes:
    """certs/system_certificates.S, or with `module` None certs/revocation_certificates.S."""
    body = b"".join(certificates)
    gap = bytes(room + 4) if room else b""
    padded = (body + gap).ljust((len(body + gap) + 7) // 8 * 8, b"\0")
    words = [len(body)] if module is None else [len(body), module]
    return padded + b"".join(word.to_bytes(8, order) for word in words)  # type: ignore[arg-type]


def kernel(*parts: bytes) -> bytes:
    noise = b"\x30\x82\x01\x00\x30\x82\x00\xf0\xa0".ljust(400, b"x")
    return b"\x7fELF".ljust(64, b"\0") + b"Linux version 6.1.0-test (me) \0\0" + noise + b"".join(parts) + noise


def bzimage(payload: bytes) -> bytes:
    head = bytearray(1024)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    head[0x248:0x250] = struct.pack("<II", 16, len(payload))
    return bytes(head) + bytes(16) + payload + b"behind"


SYSTEM = blob(FIRST, SECOND, module=len(FIRST))
REVOKED = blob(SECOND)


def test_the_system_keyring_is_found_and_told_from_the_revocation_list() -> None:
    for extra in (b"", FIRST + SECOND + b"no list"):
        system, revoked = find_certificates(kernel(extra, SYSTEM, REVOKED))
        assert system and system.certificates == (FIRST, SECOND) and system.first == len(FIRST)
        assert revoked and revoked.certificates == (SECOND,)
    assert find_certificates(kernel(REVOKED, SYSTEM)) == (
        find_certificates(kernel(SYSTEM))[0],
        None,
    ), "the linker puts the revocation list behind"
    assert find_certificates(kernel(REVOKED))[0] is None


@pytest.mark.parametrize(
    "system",
    [
        blob(FIRST, SECOND, module=len(FIRST), room=4096),
        blob(FIRST, SECOND, module=0),
        blob(FIRST, SECOND, module=len(FIRST), order="big"),
    ],
    ids=["room for another certificate", "modules are not signed", "big endian"],
)
def test_lists_of_other_configurations_are_found(system: bytes) -> None:
    found, _ = find_certificates(kernel(system))
    assert found and found.certificates == (FIRST, SECOND)


def test_a_certificate_may_be_as_small_as_that_of_a_short_name_and_an_elliptic_curve() -> None:
    short = certificate("ec").public_bytes(Encoding.DER)
    assert short[4:6] == b"\x30\x81"
    found, _ = find_certificates(kernel(blob(short, module=len(short))))
    assert found and found.certificates == (short,)


def test_a_list_whose_length_is_another_is_none() -> None:
    assert find_certificates(kernel(blob(FIRST, SECOND, module=len(FIRST)).replace(SECOND, SECOND[:-1] + b"\0\0"))) == (
        None,
        None,
    )


def zboot(payload: bytes) -> bytes:
    return b"MZ\0\0zimg" + struct.pack("<II", 64, len(payload)) + bytes(48) + payload + b"behind"


@pytest.mark.parametrize(
    "image",
    [
        kernel(SYSTEM),
        bzimage(lzma.compress(kernel(SYSTEM), check=lzma.CHECK_CRC32) + b"size"),
        bzimage(gzip.compress(kernel(SYSTEM))),
        bzimage(lzma.compress(kernel(SYSTEM), format=lzma.FORMAT_ALONE) + b"size"),
        gzip.compress(kernel(SYSTEM)),
        zboot(gzip.compress(kernel(SYSTEM))),
    ],
    ids=["vmlinux", "bzImage xz", "bzImage gzip", "bzImage lzma", "Image.gz", "zboot"],
)
def test_images_are_unpacked(tmp_path: Path, image: bytes) -> None:
    (tmp_path / "image").write_bytes(image)
    keyring = load_kernel(tmp_path / "image")
    assert keyring.kernel == "6.1.0-test"
    assert [item.name for item in keyring.certificates] == ["A signer", "Second"]


@pytest.mark.parametrize(
    ("strings", "revokes", "refuses_files", "takes_platform"),
    [
        (b"", NOWHERE, False, False),
        (b"\0013Problem with revocation key (%ld)\n\0.platform\0", IN_PLATFORM, False, False),
        (b"\0013Module hash %*phN is blacklisted\n\0", NOWHERE, True, False),
        (b"\0013Module hash %*phN is blacklisted\n\0.platform\0", NOWHERE, True, True),
    ],
    ids=["plain", "with a list", "patched", "patched, with a platform's ring"],
)
def test_an_image_tells_what_it_revokes_by_its_messages(
    tmp_path: Path, strings: bytes, revokes: str, refuses_files: bool, takes_platform: bool
) -> None:
    (tmp_path / "vmlinuz").write_bytes(kernel(SYSTEM, strings))
    found = load_kernel(tmp_path / "vmlinuz")
    assert (found.revokes, found.refuses_files, found.takes_platform) == (revokes, refuses_files, takes_platform)


@pytest.mark.parametrize(
    ("verifier", "alias", "verifies"),
    [
        (b"", "", False),
        (b"mldsa44-lib\0", "", True),
        (b"", "alias crypto-mldsa44 mldsa\n", True),
        (b"", "alias crypto-sha3-256 sha3\n", False),
    ],
    ids=["nothing", "built in", "a module", "another module"],
)
def test_a_kernel_verifies_ml_dsa_if_it_has_more_than_the_name(
    tmp_path: Path, verifier: bytes, alias: str, verifies: bool
) -> None:
    (tmp_path / "vmlinuz").write_bytes(kernel(SYSTEM, b"mldsa44\0", verifier))
    if alias:
        (tmp_path / "modules.alias").write_text(f"# Aliases\n{alias}")
    assert load_kernel(tmp_path / "vmlinuz").verifies_ml_dsa == verifies


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"hello",
        kernel(),
        bzimage(lzma.compress(kernel(SYSTEM))[:-40]),
        bzimage(b"\xfd7zXZ\0damaged"),
        bzimage(kernel(SYSTEM))[:900],
        bzimage(b""),
        bzimage(b"\x89LZO"),
    ],
)
def test_what_is_no_kernel_is_refused_with_its_name(tmp_path: Path, image: bytes) -> None:
    (tmp_path / "image").write_bytes(image)
    with pytest.raises(KbuildError, match="image: "):
        load_kernel(tmp_path / "image")


def test_an_image_is_unpacked_no_deeper_than_kernels_are_packed() -> None:
    image = kernel(SYSTEM)
    for _ in range(6):
        image = gzip.compress(image)
    assert unpack(image).startswith(b"\x1f\x8b")


# --- Directories


def test_modules_are_found_sorted_and_once_and_links_to_directories_are_not_followed(tmp_path: Path) -> None:
    for name in ("b/z.ko", "b/a.ko.xz", "a/m.ko.zst", "a/m.o", "other/x.ko"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a/build").symlink_to(tmp_path / "other")
    (tmp_path / "a/linked.ko").symlink_to(tmp_path / "b/z.ko")
    found = find_modules([tmp_path / "a", tmp_path / "b", tmp_path / "b/z.ko", tmp_path / "a/m.o"])
    names = [str(path.relative_to(tmp_path)) for path in found]
    assert names == ["a/linked.ko", "a/m.ko.zst", "b/a.ko.xz", "b/z.ko", "a/m.o"]
    with pytest.raises(UsageError, match="nowhere"):
        find_modules([tmp_path / "nowhere"])


def test_what_a_build_keeps_for_itself_is_no_module_of_a_directory_but_may_be_named(tmp_path: Path) -> None:
    built, kept = tmp_path / "build/drv.ko", tmp_path / "build/.kbuildpy/sources/drv.ko"
    of_dkms = tmp_path / "build/.dkms/drv/1.0/build/drv.ko"
    for path in (built, kept, of_dkms):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_modules([tmp_path]) == [built]
    assert find_modules([kept]) == [kept]
