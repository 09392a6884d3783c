# SPDX-License-Identifier: GPL-2.0-only
"""All modules that a distribution ships, signed by a delegate: the token signs once, as the log of a spy of OpenSC's
between it and kbuildpy says. sign-file signs each module by a call; with the key in a file, as Debian 12 has no
provider of OpenSSL's for tokens."""

from __future__ import annotations

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
URI = "pkcs11:token=release;object=root;type=private"


def test_a_token_signs_once_for_all_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = next((path for path in SPIES if Path(path).exists()), None)
    if spy is None:
        pytest.skip("needs OpenSC's spy (Debian: opensc-pkcs11)")
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
        """How many signatures were begun on the token since the last question. (C_Sign is called once more for each,
        for the size.)"""
        calls = log.read_text(errors="replace").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return sum(line.endswith(": C_SignInit") for line in calls)

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
        run([tree.objects / "scripts/sign-file", "sha256", pair, pair, module])
    theirs = time.monotonic() - began
    print(f"{count} modules: {ours:.1f} s and {asked} signature by the token; sign-file {theirs:.1f} s")
    assert asked == 1
    assert ours < theirs / 2
