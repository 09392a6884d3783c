# SPDX-License-Identifier: GPL-2.0-only
"""The signer of installed modules if the caller names no key: the key that the tree names (CONFIG_MODULE_SIG_KEY)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.installing import TreeSignature
from kbuildpy.signing.choose_signer import choose_signer

if TYPE_CHECKING:
    from kbuildpy.signing.signer import Signer


def tree_signer(signature: TreeSignature | None) -> tuple[Signer | None, str]:
    """The tree's signer, or why there is none although the tree signs ("" where it does not).

    Headers packages come without a key. Kbuild installs external modules unsigned then, and lets sign-file complain of
    each (scripts/Makefile.modinst: cmd_sign).
    """
    if signature is None:
        return None, ""
    try:
        return choose_signer(signature.key, signature.certificate, signature.hash), ""
    except KbuildError as error:
        return None, error.message
