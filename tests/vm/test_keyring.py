"""A kernel has the certificates that we read out of its image."""

from __future__ import annotations

import os
import re
import shutil

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.architecture import architecture_of, is_native
from kbuildpy.kernel.find import installed_trees
from kbuildpy.signing.kernel_image import load_kernel
from kbuildpy.vm import boot, fetch_kernel_image, make_initramfs

RELEASES = [tree.release for tree in installed_trees().trees if is_native(architecture_of(tree))]
# crypto/asymmetric_keys/x509_loader.c tells of each certificate that it puts into a keyring.
LOADED = re.compile(r"Loaded X\.509 cert '(.*): ([0-9a-f]+)'")


@pytest.mark.vm
@pytest.mark.skipif(
    os.uname().machine != "x86_64" or shutil.which("qemu-system-x86_64") is None,
    reason="boots x86-64 kernels in QEMU",
)
@pytest.mark.parametrize("release", RELEASES)
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
