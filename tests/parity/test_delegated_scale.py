# SPDX-License-Identifier: GPL-2.0-only
"""All modules that a distribution ships, signed by a delegate: the token signs once, which a spy of OpenSC's between it
and both programs counts. sign-file asks it for each module."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kbuildpy.run import run
from kbuildpy.signing.trailer import without_signatures
from tests.support import softhsm
from tests.support.builds import kbuildpy
from tests.support.kernel_trees import usual_tree
from tests.support.keys import write_pair
from tests.support.shipped_modules import shipped

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

SPIES = ("/usr/lib/x86_64-linux-gnu/pkcs11-spy.so", "/usr/lib/aarch64-linux-gnu/pkcs11-spy.so")
ENGINES = "/usr/lib/*/engines-3/pkcs11.so"
URI = "pkcs11:token=release;object=root;type=private"


def test_a_token_signs_once_for_all_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = next((path for path in SPIES if Path(path).exists()), None)
    if spy is None or not list(Path("/").glob(ENGINES[1:])):
        pytest.skip("needs OpenSC's spy and OpenSSL's engine (Debian: opensc-pkcs11, libengine-pkcs11-openssl)")
    tree = usual_tree()
    softhsm.configure(tmp_path, monkeypatch)
    pair = write_pair(tmp_path, "rsa2048")
    softhsm.make_token("release")
    softhsm.import_key("release", pair, "root", "01")
    log = tmp_path / "spy.log"
    for name, value in {
        "PKCS11SPY": str(softhsm.MODULE),
        "PKCS11SPY_OUTPUT": str(log),
        "PKCS11_MODULE_PATH": spy,
        "KBUILD_SIGN_PIN": softhsm.PIN,
    }.items():
        monkeypatch.setenv(name, value)
    for name, path in shipped(tree):
        for place in ("ours", "theirs"):
            target = tmp_path / place / f"{name}.ko"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(without_signatures(path.read_bytes()))
    count = len(list((tmp_path / "ours").rglob("*.ko")))

    def signatures() -> int:
        """How often the token has signed since the last question."""
        calls = log.read_text(errors="replace").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return sum(line.endswith(": C_Sign") for line in calls)

    began = time.monotonic()
    words = ("--delegate-of", URI, "--delegate-cert", pair, "-a", "rsa-2048", "--days", "7")
    made = kbuildpy("keygen", tmp_path / "day.pem", *words)
    assert made.returncode == 0, made.error_text
    day = ("--key", tmp_path / "day.pem", "--cert", tmp_path / "day.crt", "--embed-certificates")
    done = kbuildpy("sign", tmp_path / "ours", *day, "--hash", "sha256", "-q")
    ours = time.monotonic() - began
    assert done.returncode == 0, done.error_text
    asked = signatures()
    checked = kbuildpy("verify", tmp_path / "ours", "--cert", pair, "-q")
    assert checked.returncode == 0, checked.error_text[-2000:]

    began = time.monotonic()
    for module in sorted((tmp_path / "theirs").rglob("*.ko")):
        run([tree.objects / "scripts/sign-file", "sha256", URI, pair, module], env=dict(os.environ))
    theirs = time.monotonic() - began
    print(f"{count} modules: {ours:.1f} s and {asked} signature by the token; sign-file {theirs:.1f} s")
    assert asked == 1
    # (each of its processes asks for the size of a signature, too)
    assert signatures() >= count
    assert ours < theirs / 10
