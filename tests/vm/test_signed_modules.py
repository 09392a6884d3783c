# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that load signed modules only (module.sig_enforce=1) believe what we sign, once they trust the key.

Debian's kernels trust Debian's key alone. So each is booted twice: as it is, and with our certificate in the place
of Debian's in the list that is built into the kernel (as scripts/insert-sys-cert does it for kernels with room
for one). Such a kernel is started as a vmlinux: it is what is left of the image once the list could be edited.
"""

from __future__ import annotations

import errno
import shutil
from typing import NamedTuple

import pytest

from kbuildpy.signing.file_key import FileKey
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.public_key import key_algorithm
from kbuildpy.signing.signer import Signer, sign_module
from tests.support.guest_kernels import image_of, one_of
from tests.support.kernel_trees import swept
from tests.support.keys import new_key, short_certificate
from tests.support.loading import Load, LoadReport, ModuleReport, load_modules
from tests.support.packages import NEWEST
from tests.support.samples import built_samples
from tests.support.shipped_kernels import shipped_kernel
from tests.support.shipped_modules import plain
from tests.support.trusting_kernels import ENFORCED, KEYS, REFUSED, damaged, trusting_kernel

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed"),
]

FILES = ("unsigned", "signed", "damaged", "dummy")
UNSIGNED = "Loading of unsigned module is rejected"


class Boots(NamedTuple):
    """The same modules in Debian's kernel as it is, and in one that trusts our certificate in place of Debian's."""

    debian: LoadReport
    ours: LoadReport


@pytest.fixture(scope="module", params=[*one_of("6.12", "6.1"), *swept(NEWEST)])
def boots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Boots:
    kernel, place = shipped_kernel(request.param), tmp_path_factory.mktemp("signed")
    key = new_key(KEYS[request.param])
    certificate = short_certificate(key)
    signer = Signer(FileKey(key_algorithm(key), key), certificate, find_hash("sha256"))
    samples = built_samples(kernel.tree, tmp_path_factory)
    hello = next(path for path in samples if path.name == "hello.ko").read_bytes()
    signed = sign_module(hello, signer) or b""
    files = {"unsigned": hello, "signed": signed, "damaged": damaged(hello, signed)}
    image = image_of(kernel.tree)
    path = next(path for path in kernel.modules if path.match("net/dummy.ko*"))
    files["dummy"] = plain(path, place / "shipped/dummy.ko").read_bytes()
    loads = []
    for name in FILES:
        module = place / name / ("dummy.ko" if name == "dummy" else "hello.ko")
        module.parent.mkdir()
        module.write_bytes(files[name])
        loads.append(Load(module))
    return Boots(
        load_modules(image, loads, parameters=ENFORCED, timeout=120),
        load_modules(trusting_kernel(image, certificate, place), loads, parameters=ENFORCED, timeout=120),
    )


def attempt(report: LoadReport, name: str) -> ModuleReport:
    return report.modules[FILES.index(name)]


def test_debians_kernel_takes_debians_module_and_refuses_ours(boots: Boots) -> None:
    assert attempt(boots.debian, "dummy").insmod.status == 0
    ours = attempt(boots.debian, "signed").insmod
    assert (ours.status, set(ours.log)) == (errno.EKEYREJECTED, {REFUSED})


def test_a_kernel_that_trusts_our_certificate_takes_ours_and_refuses_debians(boots: Boots) -> None:
    ours = attempt(boots.ours, "signed")
    assert ours.insmod.status == 0
    assert "E" not in ours.taints
    theirs = attempt(boots.ours, "dummy").insmod
    assert (theirs.status, set(theirs.log)) == (errno.EKEYREJECTED, {REFUSED})


def test_what_was_changed_after_signing_is_refused_by_both(boots: Boots) -> None:
    assert attempt(boots.debian, "damaged").insmod.status == errno.EKEYREJECTED
    assert attempt(boots.ours, "damaged").insmod.status == errno.EKEYREJECTED


def test_an_unsigned_module_is_refused_by_both(boots: Boots) -> None:
    for report in boots:
        unsigned = attempt(report, "unsigned").insmod
        assert (unsigned.status, set(unsigned.log)) == (errno.EKEYREJECTED, {UNSIGNED})
