# SPDX-License-Identifier: GPL-2.0-only
"""Kernels have the certificates that we read out of their images, and say of damaged signatures what we say."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kbuildpy.compression import decompress
from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.find import installed_trees
from kbuildpy.signing import cms
from kbuildpy.signing.hashes import HASHES
from kbuildpy.signing.kernel_image import load_kernel
from kbuildpy.signing.trailer import append_signature, split_signature
from kbuildpy.signing.verify import verify
from kbuildpy.vm.image import fetch_kernel_image
from kbuildpy.vm.initramfs import make_initramfs
from kbuildpy.vm.qemu import boot
from tests.support.guest_kernels import boots_x86_64
from tests.support.kernel_trees import newest_tree_first, swept
from tests.support.loading import INIT, Attempt, read_reports
from tests.support.packages import unpacked
from tests.support.signatures import damageable, misnamed, signed

RELEASES = [tree.release for tree in installed_trees().trees if is_native(architecture_of(tree))]
# crypto/asymmetric_keys/x509_loader.c tells of each certificate that it puts into a keyring.
LOADED = re.compile(r"Loaded X\.509 cert '(.*): ([0-9a-f]+)'")


pytestmark = [
    pytest.mark.vm,
    boots_x86_64,
]
# What a kernel with module.sig_enforce=1 logs of errors that it makes EKEYREJECTED of (module_sig_check).
ENFORCED = {"unsigned module": "ENODATA", "unsupported crypto": "ENOPKG", "unavailable key": "ENOKEY"}


@pytest.mark.parametrize("release", [*RELEASES[:1], *swept(*RELEASES[1:])])
def test_the_kernel_loads_the_certificates_that_are_found_in_its_image(release: str) -> None:
    try:
        image = fetch_kernel_image(release)
    except KbuildError as error:
        pytest.skip(error.message)
    booted = boot(image, make_initramfs({}), parameters=("rdinit=/no-such-init", "root=/dev/none"), timeout=300)
    loaded = [match.groups() for match in map(LOADED.search, booted.log) if match]
    keyring = load_kernel(image)
    assert keyring.kernel == release
    found = [(item.name, (item.subject_key or b"").hex()) for item in (*keyring.certificates, *keyring.revoked)]
    assert loaded
    assert found == loaded


def shipped_modules(release: str, name: str) -> Iterator[Path]:
    """The module called `name` that `release` came with."""
    wanted = f"lib/modules/{release}/kernel/{name}.ko*"
    yield from Path("/").glob(wanted)
    for package in (f"linux-modules-{release}", f"linux-image-{release}"):
        with suppress(KbuildError):
            yield from unpacked(package).glob(f"**/{wanted}")


def shipped_module(release: str) -> bytes:
    """A small module that `release` came with, signed by whom it trusts."""
    for path in shipped_modules(release, "net/6lowpan/nhc_dest"):
        return decompress(path.read_bytes())
    pytest.skip(f"no module of {release} is here")


def damaged(module: bytes) -> Iterator[bytes]:
    """`module` with each byte of its signature changed, but for the numbers that cryptography made."""
    taken = split_signature(module)
    assert taken is not None
    start, length = len(taken.contents), len(taken.signature)
    (signer,) = cms.signers(cms.parse(taken.signature))
    numbers = taken.signature.index(signer.signature)
    places = [*range(numbers + 4), length - 1, *range(length, length + 12)]
    for place in places:
        for change in (1, 0x80):
            yield module[: start + place] + bytes([module[start + place] ^ change]) + module[start + place + 1 :]
    yield b"\x80" + module[1:]
    yield taken.contents
    yield append_signature(taken.contents, b"")
    for short in ("30", "3081", "30810106", "3082000106", "30810206", "3081020601", "30810406092a86", "30840000000106"):
        yield append_signature(taken.contents, bytes.fromhex(short))


def answer(attempt: Attempt) -> str | None:
    """The error that the kernel found in a signature, None for one that it took."""
    for words, name in ENFORCED.items():
        if any(words in line for line in attempt.log):
            return name
    # A signature that was taken leads to what is wrong next: it needs another module.
    return None if attempt.status in (0, errno.ENOENT) else errno.errorcode[attempt.status or 0]


@pytest.mark.parametrize("release", newest_tree_first())
def test_the_kernel_says_the_same_of_damaged_signatures(release: str) -> None:
    module = shipped_module(release)
    image = fetch_kernel_image(release)
    # The kernel looks at the signature before it looks at the module: these need be none.
    # (6.1 has SHA-384 and SHA-512 in modules, 7.3 has SHA-3, and they are not in the guest)
    absent = {"sha384", "sha512"}
    if any(shipped_modules(release, "crypto/sha3")):
        absent |= {"sha3-256", "sha3-384", "sha3-512"}
    hashes = [hash for hash in HASHES if hash not in absent]
    foreign = [*damageable().values(), *(signed(kind, hash) for kind in ("rsa", "ec") for hash in hashes)]
    foreign += [misnamed(1), misnamed(3)]
    modules = [module, *damaged(module), *foreign]
    contents = {f"modules/{number}/m.ko": contents for number, contents in enumerate(modules)}
    contents["modules/list"] = "".join(f"m /{path}\n" for path in contents).encode()
    booted = boot(image, make_initramfs(contents, init=INIT), parameters=("module.sig_enforce=1",), timeout=300)
    reports, _ = read_reports(booted.log)
    assert len(reports) == len(modules) > 300
    keyring = load_kernel(image)
    differences, stricter = [], 0
    for number, report in enumerate(reports):
        (state,) = verify(modules[number], [keyring])
        kernel = answer(report.insmod)
        if state.reason and "not a CMS message" in state.reason:
            # Damaged DER that may be BER.
            stricter += kernel != state.errno
        elif kernel != state.errno or state.trusted != (kernel is None):
            differences.append((number - len(modules), kernel, state.errno, state.hash, state.algorithm))
    assert not differences
    assert stricter < 20
    assert answer(reports[0].insmod) is None
