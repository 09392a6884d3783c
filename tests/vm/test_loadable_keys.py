# SPDX-License-Identifier: GPL-2.0-only
"""Which certificates a kernel can load: what we say of each kind of key is what add_key(2) says in a guest."""

from __future__ import annotations

import errno
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kbuildpy.signing.certificates import parse_certificate
from kbuildpy.signing.kernel_image import load_kernel
from kbuildpy.vm.initramfs import make_initramfs
from kbuildpy.vm.qemu import boot
from tests.support.added_keys import with_keys
from tests.support.guest_kernels import boots_x86_64, image_of, one_of, tree_called
from tests.support.kernel_trees import swept
from tests.support.packages import NEWEST

pytestmark = [
    pytest.mark.vm,
    boots_x86_64,
]
SIZES = (1024, 2048, 2560, 3072, 4096, 4104)
CURVES: tuple[type[ec.EllipticCurve], ...] = (
    *(ec.SECP192R1, ec.SECP224R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, ec.SECP256K1),
    *(ec.BrainpoolP256R1, ec.BrainpoolP384R1),
)


def certificate(key: Any, *, issuer: Any = None, pss: bool = False) -> bytes:
    """A certificate (DER) of `key`, signed by itself or by `issuer`."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "k")])
    above = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]) if issuer else name
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(subject_name=name, issuer_name=above).public_key(key.public_key())
    builder = builder.serial_number(1000).not_valid_before(now).not_valid_after(now + timedelta(days=9))
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else None
    return builder.sign(issuer or key, hashes.SHA256(), rsa_padding=scheme).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def certificates() -> dict[str, bytes]:
    keys: dict[str, Any] = {f"rsa {size}": rsa.generate_private_key(65537, size) for size in SIZES}
    keys |= {curve().name: ec.generate_private_key(curve()) for curve in CURVES}
    found = {kind: certificate(key) for kind, key in keys.items()}
    plain = keys["rsa 2048"]
    found["rsa, signed with PSS"] = certificate(plain, pss=True)
    for kind in ("rsa 2560", "secp256r1", "secp521r1", "secp256k1"):
        found[f"{kind}, issued"] = certificate(keys[kind], issuer=plain)
    return found


@pytest.mark.parametrize("line", [*one_of("6.12", "6.1"), *swept(NEWEST)])
def test_the_kernel_loads_the_certificates_of_which_we_say_so(
    line: str, certificates: dict[str, bytes], tmp_path: Path
) -> None:
    image = image_of(tree_called(line))
    initramfs = make_initramfs({}) + with_keys([*certificates.values()], tmp_path)
    log = boot(image, initramfs, parameters=("rdinit=/add_keys", "panic=-1"), timeout=300).log
    said = {int(number): int(code) for number, code in re.findall(r"certificate (\d+): errno (\d+)", "\n".join(log))}
    assert len(said) == len(certificates)
    # (what can be loaded is refused then, for the keyring takes only what its authority has signed)
    kernel = {kind: errno.errorcode.get(said[place]) for place, kind in enumerate(certificates)}
    kernel = {kind: None if name == "ENOKEY" else name for kind, name in kernel.items()}
    keyring = load_kernel(image)
    problems = {kind: keyring.problem_of(parse_certificate(der, kind)) for kind, der in certificates.items()}
    assert {kind: problem and problem.errno for kind, problem in problems.items()} == kernel
    assert {*kernel.values()} >= {None, "ENOPKG", "EINVAL"}
