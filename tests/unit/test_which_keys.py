# SPDX-License-Identifier: GPL-2.0-only
"""Which keys a kernel trusts on a machine, for machines that are made up."""

from __future__ import annotations

import ctypes
import platform
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.verify import verify
from kbuildpy.which import live_keys
from kbuildpy.which import machine_keyring as machine
from kbuildpy.which.live_keys import BUILT_IN, SECONDARY, LiveKey, LiveKeys, read_live_keys
from kbuildpy.which.machine_keyring import MachineKeyring, machine_keyring
from tests.support.keys import short_certificate
from tests.support.signature_lists import GLOBAL, SECURITY, SHIM, TBS, X509, signature_list
from tests.support.signatures import certificate, key, ours, signed

OWN = certificate("other", name="The kernel's")
MINE = certificate("rsa")
EVERYTHING = {
    f"CONFIG_{name}": "y"
    for name in ("MODULE_SIG", "LOAD_UEFI_KEYS", "INTEGRITY_PLATFORM_KEYRING", "INTEGRITY_MACHINE_KEYRING")
}
KERNEL = LoaderKernel(
    "6.12.1", (6, 12, 1), "x86_64", config=EVERYTHING, keyring=lambda: Keyring("6.12.1", certificates=(ours(OWN),))
)


MINE_LISTED = signature_list(X509, MINE.public_bytes(Encoding.DER))


def put(root: Path, name: str, contents: bytes, *, vendor: str = SHIM, table: bool = False) -> None:
    """A variable of EFI, or one in shim's table."""
    folder = root / "sys/firmware/efi" / ("mok-variables" if table else "efivars")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (name if table else f"{name}-{vendor}")).write_bytes(
        contents if table else bytes([6, 0, 0, 0]) + contents
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine that was started by EFI, under Secure Boot."""
    put(tmp_path, "SecureBoot", b"\1", vendor=GLOBAL)
    return tmp_path


def keys(root: Path, *, takes_platform: bool | None = True, kernel: LoaderKernel = KERNEL) -> MachineKeyring:
    return machine_keyring(kernel, Rooted(root), runs=False, takes_platform=takes_platform)


def trusts_mine(found: MachineKeyring) -> bool:
    assert found.keyring is not None
    return verify(signed("rsa"), [found.keyring])[0].trusted


def place(found: MachineKeyring, name: str) -> tuple[bool | None, str]:
    [one] = [each for each in found.places if each.name == name]
    return one.trusted, one.why


def test_without_the_owners_key_his_module_is_not_trusted(root: Path) -> None:
    found = keys(root)
    assert not trusts_mine(found)
    assert found.is_complete
    assert found.secure_boot is True


@pytest.mark.parametrize("table", [False, True])
def test_the_owners_key_is_trusted_where_the_kernel_looks_at_the_platforms(table: bool, root: Path) -> None:
    put(root, "MokListRT", MINE_LISTED, table=table)
    found = keys(root)
    assert trusts_mine(found)
    assert place(found, "MOK") == (True, "")


def test_linux_as_published_trusts_the_owners_key_if_he_asked_for_that(root: Path) -> None:
    put(root, "MokListRT", MINE_LISTED)
    found = keys(root, takes_platform=False)
    assert not trusts_mine(found) and found.is_complete
    assert "kexec" in place(found, "MOK")[1]
    put(root, "MokListTrustedRT", b"\1", table=True)
    assert trusts_mine(keys(root, takes_platform=False))
    authorities = replace(KERNEL, config=EVERYTHING | {"CONFIG_INTEGRITY_CA_MACHINE_KEYRING": "y"})
    assert place(keys(root, takes_platform=False, kernel=authorities), "MOK")[0] is None
    without = {name: value for name, value in EVERYTHING.items() if "MACHINE" not in name}
    assert not trusts_mine(keys(root, takes_platform=False, kernel=replace(KERNEL, config=without)))


@pytest.mark.parametrize("off", ["SecureBoot", "MokSBStateRT"])
def test_without_secure_boot_the_owners_keys_do_not_count(off: str, root: Path) -> None:
    put(root, "MokListRT", MINE_LISTED)
    if off == "SecureBoot":
        put(root, "SecureBoot", b"\0", vendor=GLOBAL)
    else:
        put(root, "MokSBStateRT", b"\1")
    found = keys(root)
    assert found.secure_boot is False
    assert not trusts_mine(found)
    assert "Secure Boot is off" in place(found, "MOK")[1]


def test_a_key_of_the_firmware_counts_where_the_platforms_do(root: Path) -> None:
    put(root, "db", MINE_LISTED, vendor=SECURITY)
    assert trusts_mine(keys(root))
    assert not trusts_mine(keys(root, takes_platform=False))
    assert place(keys(root, takes_platform=None), "db")[0] is None
    put(root, "MokIgnoreDB", b"\1")
    assert not trusts_mine(keys(root))


def test_what_is_not_known_makes_no_answer(root: Path) -> None:
    put(root, "MokListRT", MINE_LISTED)
    found = keys(root, takes_platform=None)
    assert not found.is_complete and not trusts_mine(found)
    assert not keys(root, kernel=replace(KERNEL, config=None)).is_complete
    (root / f"sys/firmware/efi/efivars/db-{SECURITY}").mkdir()
    assert "not readable" in " ".join(keys(root).unread)
    assert not keys(root).is_complete


def test_a_forbidden_key_is_not_trusted(root: Path) -> None:
    put(root, "MokListRT", MINE_LISTED)
    digest = bytes.fromhex(ours(MINE).tbs_hash.removeprefix("tbs:"))
    put(root, "dbx", signature_list(TBS, digest), vendor=SECURITY)
    assert not trusts_mine(keys(root))
    put(root, "dbx", b"", vendor=SECURITY)
    assert trusts_mine(keys(root))
    put(root, "MokListXRT", signature_list(TBS, digest))
    assert not trusts_mine(keys(root))
    # With the time that belongs behind the digest, it is none to Linux (as test_which_secure_boot.py shows).
    put(root, "MokListXRT", signature_list(TBS, digest + bytes(16)))
    assert trusts_mine(keys(root))


def test_without_secure_boot_what_the_owner_revokes_does_not_count(root: Path) -> None:
    put(root, "db", MINE_LISTED, vendor=SECURITY)
    digest = bytes.fromhex(ours(MINE).tbs_hash.removeprefix("tbs:"))
    put(root, "MokListXRT", signature_list(TBS, digest))
    assert not trusts_mine(keys(root))
    put(root, "SecureBoot", b"\0", vendor=GLOBAL)
    assert trusts_mine(keys(root))


def test_whole_certificates_are_revoked_in_kernels_with_a_list_for_them(root: Path) -> None:
    put(root, "MokListRT", MINE_LISTED)
    put(root, "dbx", MINE_LISTED, vendor=SECURITY)
    without = replace(KERNEL, config=EVERYTHING | {"CONFIG_SYSTEM_REVOCATION_LIST": "n"})
    assert trusts_mine(keys(root, kernel=without))
    with_list = replace(KERNEL, config=EVERYTHING | {"CONFIG_SYSTEM_REVOCATION_LIST": "y"})
    assert not trusts_mine(keys(root, kernel=with_list))


def test_an_old_kernel_revokes_the_owners_certificate_only_in_the_platforms_ring(root: Path) -> None:
    put(root, "MokListRT", MINE_LISTED)
    put(root, "dbx", MINE_LISTED, vendor=SECURITY)
    config = EVERYTHING | {"CONFIG_SYSTEM_REVOCATION_LIST": "y"}
    new = replace(KERNEL, config=config)
    old = replace(new, release="6.1.0", version=(6, 1), keyring=lambda: Keyring.of("6.1.0").plus([ours(OWN)]))
    assert not trusts_mine(keys(root, kernel=old))
    put(root, "MokListTrustedRT", b"\1", table=True)
    assert trusts_mine(keys(root, kernel=old))
    assert not trusts_mine(keys(root, kernel=new))


@pytest.mark.parametrize("contents", [b"x", MINE_LISTED[:-1], MINE_LISTED + b"more", bytes(100)])
def test_a_damaged_list_is_said(contents: bytes, root: Path) -> None:
    put(root, "MokListRT", contents)
    found = keys(root)
    assert any("MokListRT: a damaged list" in each for each in found.unread)
    assert not found.is_complete and not trusts_mine(found)


def test_a_system_without_sysfs_tells_nothing_of_its_keys(tmp_path: Path) -> None:
    found = keys(tmp_path)
    assert not found.is_complete
    assert "no /sys" in found.unread[0]
    (tmp_path / "sys/firmware").mkdir(parents=True)
    assert keys(tmp_path).is_complete


LINES = """\
00000001 I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: 2
00000002 I------     2 perm 1f0b0000     0     0 keyring   .secondary_trusted_keys: 1
00000003 I------     1 perm 1f0f0000     0     0 keyring   .blacklist: 1
00000004 I------     1 perm 1f0b0000     0     0 keyring   .machine: empty
10000005 I------     1 perm 1f030000     0     0 asymmetri Debian: a key: 0a1b2c3d4e: X509.rsa 2c3d4e []
20000006 IR-----     1 perm 1f030000     0     0 asymmetri revoked: 0102: X509.rsa 0102 []
30000007 I------     1 perm 1f010000     0     0 blacklist bin:80b4d96931bf0d02fd91a61e19d14f1d
40000008 I--Q---     3 perm 3f030000  1000  1000 user      asymmetri x: 00: no
"""


def test_reads_the_keys_that_the_kernel_shows(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/keys").write_text(LINES)
    found = read_live_keys(Rooted(tmp_path))
    assert found.problem == ""
    assert found.counts == {
        ".builtin_trusted_keys": 2,
        ".secondary_trusted_keys": 1,
        ".blacklist": 1,
        ".machine": 0,
    }
    assert [(key.subject, key.identifier) for key in found.keys] == [("Debian: a key", "0a1b2c3d4e")]
    assert len(found.blacklist) == 1
    # (who may not see the rings sees keys of his own)
    (tmp_path / "proc/keys").write_text(LINES.splitlines()[-1])
    assert "needs root" in read_live_keys(Rooted(tmp_path)).problem
    assert "not readable" in read_live_keys(Rooted(tmp_path / "none")).problem


def test_of_the_running_kernel_only_what_it_shows_is_trusted(root: Path) -> None:
    put(root, "MokListRT", MINE_LISTED)
    (root / "proc").mkdir()

    def running(*lines: str) -> MachineKeyring:
        (root / "proc/keys").write_text("\n".join([*LINES.splitlines()[:4], *lines]) + "\n")
        return machine_keyring(KERNEL, Rooted(root), runs=True, takes_platform=True)

    subject_key = ours(MINE).subject_key
    assert subject_key
    line = f"50000009 I------     1 perm 1f030000     0     0 asymmetri A: b: {subject_key.hex()}: X509.rsa x []"
    assert trusts_mine(running(line))
    assert not trusts_mine(running())
    digest = ours(MINE).tbs_hash
    assert not trusts_mine(running(line, f"60000001 I------     1 perm 1f010000     0     0 blacklist {digest}"))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of the system calls are those of x86-64")
def test_reads_what_is_in_a_ring() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ring = libc.syscall(248, b"keyring", b"kbuildpy-test", None, ctypes.c_long(0), ctypes.c_long(-2))
    if ring < 0:
        pytest.skip("this user may not make a ring of keys here")
    made = [libc.syscall(248, b"user", name, b"x", ctypes.c_long(1), ctypes.c_long(ring)) for name in (b"a", b"b")]
    assert sorted(live_keys._members(ring) or ()) == sorted(made)
    assert live_keys._members(0x7FFFFFF0) is None


def shown(certificate_: x509.Certificate, subject: str = "A signer") -> LiveKey:
    found = ours(certificate_)
    assert found.subject_key
    return LiveKey(subject, found.subject_key.hex())


def running(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, takes_platform: bool | None, **members: LiveKey
) -> MachineKeyring:
    """The keys of a kernel that runs, and tells which keys are in its rings (`machine=...` for `.machine`)."""
    rings = {BUILT_IN: (shown(OWN),), SECONDARY: (), **{f".{ring}": (key,) for ring, key in members.items()}}
    keys_ = tuple(key for ring in rings.values() for key in ring)
    live = LiveKeys(dict.fromkeys(rings, 1), keys_, rings)
    monkeypatch.setattr(machine, "read_live_keys", lambda system: live)
    return machine_keyring(KERNEL, Rooted(root), runs=True, takes_platform=takes_platform)


def test_a_key_counts_by_the_ring_that_it_is_in(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "MokListRT", MINE_LISTED)
    in_machine = running(root, monkeypatch, takes_platform=False, machine=shown(MINE))
    # (its list alone would not be trusted there)
    assert in_machine.is_complete
    in_platform = running(root, monkeypatch, takes_platform=True, platform=shown(MINE))
    assert trusts_mine(in_platform) and in_platform.is_complete
    assert not trusts_mine(running(root, monkeypatch, takes_platform=False, platform=shown(MINE)))
    assert not trusts_mine(running(root, monkeypatch, takes_platform=True))


def test_a_key_whose_certificate_is_not_known_leaves_the_answer_open(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = running(root, monkeypatch, takes_platform=True, machine=LiveKey("Somebody", "0102"))
    assert not found.is_complete
    assert any("Somebody (0102)" in each and "--cert" in each for each in found.unread)


def test_whether_the_platforms_keys_count_may_be_unknown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "MokListRT", MINE_LISTED)
    found = running(root, monkeypatch, takes_platform=None, platform=shown(MINE))
    assert not trusts_mine(found) and not found.is_complete


def test_an_enrolled_certificate_is_trusted_without_being_shown(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.der"
    file.write_bytes(MINE.public_bytes(Encoding.DER))
    found = machine_keyring(KERNEL, Rooted(root), runs=False, takes_platform=False, files=[file])
    assert trusts_mine(found)
    assert place(found, str(file)) == (True, "")


def test_a_certificate_without_a_key_identifier_is_known_by_its_number() -> None:
    assert machine._identifier(ours(short_certificate(key("rsa")))) == "07"


def test_without_the_image_the_built_in_keys_are_not_known(root: Path) -> None:
    found = keys(root, kernel=replace(KERNEL, keyring=None))
    assert found.keyring is None and not found.is_complete
    assert "no image" in found.unread[0]

    def damaged() -> Keyring:
        raise KbuildError("the image is damaged")

    found = keys(root, kernel=replace(KERNEL, keyring=damaged))
    assert found.keyring is None and "the image is damaged" in found.unread[0]
    put(root, "MokListRT", MINE_LISTED)
    assert trusts_mine(keys(root, kernel=replace(KERNEL, keyring=None)))


def test_where_secure_boot_cannot_be_read_the_owners_keys_are_neither(tmp_path: Path) -> None:
    put(tmp_path, "MokListRT", MINE_LISTED)
    (tmp_path / f"sys/firmware/efi/efivars/SecureBoot-{GLOBAL}").mkdir()
    found = keys(tmp_path)
    assert found.secure_boot is None
    assert place(found, "MOK")[0] is None and not found.is_complete
    (tmp_path / f"sys/firmware/efi/efivars/SecureBoot-{GLOBAL}").rmdir()
    assert keys(tmp_path).secure_boot is False


def test_the_rings_of_this_machine_have_as_many_keys_as_it_says() -> None:
    found = read_live_keys(Rooted())
    if found.problem or not found.members:
        pytest.skip(found.problem or "the rings may not be read")
    for ring, inside in found.members.items():
        if ring not in (SECONDARY, ".blacklist"):  # (a ring in it counts as one)
            assert len(inside) == found.counts[ring]
