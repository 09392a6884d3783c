# SPDX-License-Identifier: GPL-2.0-only
"""Tokens in software (SoftHSM), made by a test in a directory of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pkcs11
import pytest

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "4711-right"


def require_softhsm() -> None:
    """Skip the test where SoftHSM or python-pkcs11 is missing."""
    pytest.importorskip("pkcs11")
    if shutil.which("softhsm2-util") is None or not MODULE.exists():
        pytest.skip("needs SoftHSM (Debian: softhsm2)")


def configure(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have SoftHSM, in this process and in those it starts, keep its tokens in `directory`."""
    require_softhsm()
    (directory / "tokens").mkdir()
    configuration = directory / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    monkeypatch.setenv("PKCS11_MODULE_PATH", str(MODULE))


def make_token(label: str) -> None:
    """A new token, with the PIN `PIN`."""
    _softhsm2_util("--init-token", "--free", "--label", label, "--so-pin", "4711-officer", "--pin", PIN)
    restart()


def import_key(token: str, key: Path, label: str, id: str) -> None:
    """Put a private key (PEM, PKCS#8) and its public key on a token."""
    _softhsm2_util("--import", str(key), "--token", token, "--label", label, "--id", id, "--pin", PIN)


def restart() -> None:
    """Have the library, if this process has it already, look for tokens anew."""
    pkcs11.lib(str(MODULE.resolve())).reinitialize()


def _softhsm2_util(*arguments: str) -> None:
    subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True, timeout=60)
