# SPDX-License-Identifier: GPL-2.0-only
"""SoftHSM behind a library that counts its signatures and logins, and may be as slow as a token in a network."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import softhsm


@dataclass(frozen=True)
class CountingToken:
    """The library, and where it counts."""

    library: Path
    count: Path

    @property
    def signatures(self) -> int:
        """The signatures since the last `forget`."""
        return self._noted().count(b"s")

    @property
    def logins(self) -> int:
        """The logins since then, right or wrong."""
        return self._noted().count(b"l")

    def forget(self) -> None:
        """Count from nothing."""
        self.count.unlink(missing_ok=True)

    def _noted(self) -> bytes:
        return self.count.read_bytes() if self.count.exists() else b""


def counting_token(place: Path, monkeypatch: pytest.MonkeyPatch, *, delay: float = 0.0) -> CountingToken:
    """The library for all PKCS#11 URIs of this test that name no other; each signature takes `delay` seconds more."""
    library = place / "libcounting.so"
    source = Path(__file__).with_suffix(".c")
    words = ["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(words, check=True, timeout=60)
    count = place / "signatures"
    monkeypatch.setenv("TOKEN_LIBRARY", str(softhsm.MODULE))
    monkeypatch.setenv("TOKEN_COUNT", str(count))
    monkeypatch.setenv("TOKEN_DELAY", str(int(delay * 1e6)))
    monkeypatch.setenv("PKCS11_MODULE_PATH", str(library))
    return CountingToken(library, count)
