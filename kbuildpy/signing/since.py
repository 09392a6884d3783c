# SPDX-License-Identifier: GPL-2.0-only
"""The kernel versions that changed what becomes of a signature.

docs/kernel-versions.md says of each how it is known.
"""

from __future__ import annotations

REVOKED_ANYWHERE = (6, 6)
"""A signer on the list of revoked certificates is refused; before, only where his key is looked for in `.platform`."""

CURVE_P521 = (6, 10)
"""The parser of certificates knows P-521."""

BLACKLISTED_BY_SHA256 = (7, 0)
"""The blacklist has certificates by the SHA-256 of their signed part; before, by the digest with which they are
signed."""
