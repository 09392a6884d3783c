# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that load signed modules only, and trust a certificate of ours in place of Debian's."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kbuildpy.kernel.image import unpack
from kbuildpy.signing.kernel_image import find_certificates
from tests.support.packages import NEWEST

ENFORCED = ("module.sig_enforce=1", "nokaslr")
"""Parameters of a kernel that loads signed modules only."""

REFUSED = "Loading of module with unavailable key is rejected"
"""What it logs of a signature by a key that it does not trust."""

KEYS = {"6.1": "rsa2048", "6.12": "p256", NEWEST: "p256"}
"""The kind of key for the kernel of each line, as Debian's own: 6.1 verifies nothing but RSA before a module is loaded,
and the later ones have no room for an RSA certificate."""


def damaged(module: bytes, signed: bytes) -> bytes:
    """`module` with one byte changed, and the signature that was made before."""
    changed = bytearray(module)
    changed[-1] ^= 1
    return bytes(changed) + signed[len(module) :]


def trusting_kernel(image: Path, certificate: x509.Certificate, place: Path) -> Path:
    """The kernel in `image` with our certificate for its built-in ones (certs/system_certificates.S)."""
    kernel = bytearray(unpack(image.read_bytes()))
    system, _ = find_certificates(bytes(kernel))
    assert system is not None
    theirs, ours = b"".join(system.certificates), certificate.public_bytes(Encoding.DER)
    assert len(ours) <= len(theirs), "there is no room for our certificate"
    start = kernel.index(theirs)
    lengths = start + (len(theirs) + 7 & ~7)
    kernel[start : start + len(theirs)] = ours.ljust(len(theirs), b"\0")
    kernel[lengths : lengths + 16] = len(ours).to_bytes(8, "little") * 2
    vmlinux = place / "vmlinux"
    vmlinux.write_bytes(kernel)
    return vmlinux
