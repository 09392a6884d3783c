# SPDX-License-Identifier: GPL-2.0-only
"""The keys of `kbuildpy keygen`, used by the tree's sign-file."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbuildpy.run import run
from kbuildpy.signing.intact import is_intact
from kbuildpy.signing.signer_certificate import load_certificate
from kbuildpy.signing.trailer import split_signature
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import usual_tree

pytestmark = pytest.mark.parity

CONTENTS = b"\x7fELF" + bytes(range(256)) * 20


@pytest.mark.parametrize("options", [(), ("--combined",), ("--encrypt",), ("--mok", "--combined", "--encrypt")])
@pytest.mark.parametrize("algorithm", ["rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384", "p-521"])
def test_sign_file_takes_the_key_and_makes_what_we_make(
    algorithm: str, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBUILD_SIGN_PIN", "correct horse")
    key, ours, theirs = (tmp_path / name for name in ("signing_key.pem", "ours.ko", "theirs.ko"))
    assert kbuildpy("keygen", key, "-a", algorithm, *options).returncode == 0
    for module in (ours, theirs):
        module.write_bytes(CONTENTS)
    cert = key if "--combined" in options else key.with_suffix(".x509")
    run([usual_tree().objects / "scripts/sign-file", "sha256", key, cert, theirs])
    assert kbuildpy("sign", ours, "--key", key, "--cert", cert, "--hash", "sha256").returncode == 0
    certificate = load_certificate(key.with_suffix(".crt"))
    for module in (ours, theirs):
        signed = split_signature(module.read_bytes())
        assert signed is not None and signed.contents == CONTENTS
        assert is_intact(CONTENTS, signed.signature, certificate)
    if algorithm.startswith("rsa"):
        assert ours.read_bytes() == theirs.read_bytes()
