# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that load signed modules only take a delegate's, whose certificate comes with the signature and names theirs.

The kernel trusts a certificate without a subject key identifier, so that a delegate's names it by issuer and number.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from kbuildpy.signing.certificates import parse_certificate
from kbuildpy.signing.delegation import Issuer
from kbuildpy.signing.file_key import FileKey
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.keygen import SigningKey, make_signing_key
from kbuildpy.signing.keyring import Keyring
from kbuildpy.signing.public_key import key_algorithm
from kbuildpy.signing.signer import Signer, sign_module
from kbuildpy.signing.verify import verify
from tests.support.guest_kernels import image_of
from tests.support.kernel_trees import swept
from tests.support.keys import new_key, short_certificate
from tests.support.loading import Load, load_modules
from tests.support.packages import NEWEST
from tests.support.samples import built_samples
from tests.support.shipped_kernels import shipped_kernel
from tests.support.trusting_kernels import ENFORCED, KEYS, damaged, trusting_kernel

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed"),
]


def _delegate(issuer: Issuer, name: str, kind: str) -> tuple[SigningKey, Issuer]:
    """A new key of `kind` whose certificate `issuer` signs; and itself as an issuer."""
    made = make_signing_key(kind, common_name=name, days=7, issuer=issuer)
    return made, Issuer(_file_key(made), made.certificate)


def _file_key(made: SigningKey) -> FileKey:
    key = made._key
    return FileKey(key_algorithm(key), key)


def _issuer(kind: str) -> Issuer:
    key = new_key(kind)
    return Issuer(FileKey(key_algorithm(key), key), short_certificate(key))


@pytest.mark.parametrize("line", swept("6.1", "6.12", NEWEST))
def test_a_delegates_module_is_loaded_where_its_issuer_is_trusted(
    line: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kernel = shipped_kernel(line)
    root, other = _issuer(KEYS[line]), _issuer(KEYS[line])
    kinds = ["rsa-2048"] if line == "6.1" else ["rsa-2048", "p-256"]
    samples = {path.stem: path.read_bytes() for path in built_samples(kernel.tree, tmp_path_factory)}
    files: dict[str, tuple[str, bytes]] = {}

    def add(name: str, signed_by: SigningKey, *embedded: SigningKey, module: str = "hello") -> None:
        certificates = tuple(each.certificate for each in embedded)
        signer = Signer(_file_key(signed_by), signed_by.certificate, find_hash("sha256"), embedded=certificates)
        files[name] = module, sign_module(samples[module], signer) or b""

    # (of one module, the kernel takes no second one)
    for kind, modules in zip(kinds, (("hello", "params"), ("chardev", "debug_messages")), strict=False):
        day, as_issuer = _delegate(root, "day", kind)
        hour, _ = _delegate(as_issuer, "hour", kind)
        stranger, _ = _delegate(other, "stranger", kind)
        add(f"delegate {kind}", day, day, module=modules[0])
        add(f"chain {kind}", hour, hour, day, module=modules[1])
        add(f"alone {kind}", day)
        add(f"gap {kind}", hour, hour)
        add(f"stranger {kind}", stranger, stranger)
        files[f"damaged {kind}"] = modules[0], damaged(samples[modules[0]], files[f"delegate {kind}"][1])
    loads = []
    for name, (module, contents) in files.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{module}.ko").write_bytes(contents)
        loads.append(Load(tmp_path / name / f"{module}.ko"))
    image = trusting_kernel(image_of(kernel.tree), root.certificate, tmp_path)
    report = load_modules(image, loads, parameters=ENFORCED, timeout=180)
    keyring = Keyring(certificates=(parse_certificate(root.certificate.public_bytes(Encoding.DER), "ours"),))
    for (name, (_, contents)), attempt in zip(files.items(), report.modules, strict=True):
        is_taken = name.startswith(("delegate", "chain"))
        assert attempt.insmod.status == (0 if is_taken else errno.EKEYREJECTED), (name, attempt.insmod.log)
        [state] = verify(contents, [keyring])
        assert state.trusted is is_taken, (name, state.reason)
