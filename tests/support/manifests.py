# SPDX-License-Identifier: GPL-2.0-only
"""A line of a manifest of signed files."""

from __future__ import annotations

from kbuildpy.signing.manifest import digest

ENTRY = {
    "path": "a.ko",
    "sha256_before": "",
    "sha256_after": digest(b"a"),
    "signer": "s",
    "serial": "1",
    "key_id": "2",
    "hash": "sha256",
    "algorithm": "rsa",
    "time": "2020-01-01T00:00:00+00:00",
}
