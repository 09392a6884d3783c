# SPDX-License-Identifier: GPL-2.0-only
"""DER by declared types: that of cryptography, or ours where an older one is installed, as on Debian 12 and 13."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cryptography

# (50: the first one in which everything that is named here reads and writes what `structures` declares)
if TYPE_CHECKING or int(cryptography.__version__.partition(".")[0]) >= 50:
    from cryptography.hazmat.asn1 import (
        TLV,
        BitString,
        Explicit,
        Implicit,
        Null,
        SetOf,
        decode_der,
        encode_der,
        sequence,
    )
else:
    from kbuildpy.signing.plain_asn1 import (
        TLV,
        BitString,
        Explicit,
        Implicit,
        Null,
        SetOf,
        decode_der,
        encode_der,
        sequence,
    )

__all__ = ["TLV", "BitString", "Explicit", "Implicit", "Null", "SetOf", "decode_der", "encode_der", "sequence"]
