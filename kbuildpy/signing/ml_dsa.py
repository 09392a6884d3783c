# SPDX-License-Identifier: GPL-2.0-only
"""New keys of ML-DSA. The cryptography of Debian 12 and 13 has none; all else is done with it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import cryptography
from cryptography.exceptions import UnsupportedAlgorithm

from kbuildpy.errors import KbuildError


def new_ml_dsa_key(algorithm: str) -> Any:
    """A private key of the kind `ml-dsa-44`, `ml-dsa-65` or `ml-dsa-87`, as cryptography's object. Raises `KbuildError`
    where the library, or the OpenSSL that it was built with, knows none."""
    try:
        known = import_module("cryptography.hazmat.primitives.asymmetric.mldsa")
        return getattr(known, f"MLDSA{algorithm.rpartition('-')[2]}PrivateKey").generate()
    except (ImportError, AttributeError, UnsupportedAlgorithm):
        raise KbuildError(
            f"{algorithm}: cryptography {cryptography.__version__} makes no such keys",
            hint="install a newer one (pip install 'cryptography>=48'), or choose rsa-4096",
        ) from None
