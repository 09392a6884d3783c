# SPDX-License-Identifier: GPL-2.0-only
"""Keys, opened when the first module needs one and once in a run: a token asks for its PIN at each login."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from kbuildpy.install.signer import tree_signer
from kbuildpy.kernel.installing import TreeSignature
from kbuildpy.kernel.signing_policy import signing_policy_of
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.once import once
from kbuildpy.printable import printable
from kbuildpy.scons.session import Session
from kbuildpy.signing.choose_signer import choose_signer

if TYPE_CHECKING:
    from kbuildpy.signing.signer import Signer


def signer_finder(
    session: Session, tree: KernelTree, key: str, cert: str, hash: str, *, key_id: bool = False, embed: bool = False
) -> Callable[[], Signer]:
    """A function that finds the signer of `key` and `cert` (files or `pkcs11:` URIs; as for `choose_signer`).

    Without `hash`, modules are signed with the digest that the kernel's own have (of `tree`). `key_id` names the
    certificate by its key identifier, with `embed` it comes along. A passphrase comes from KBUILD_SIGN_PIN.
    """

    def open_it() -> Signer:
        found = choose_signer(
            key, cert, hash, kernel_hash=lambda: signing_policy_of(tree).hash, use_key_id=key_id, embed=embed
        )
        if warning := found.warn_of_issuer("SignModule(..., embed=True) adds it"):
            session.complain_once(printable(f"kbuildpy: warning: {found.name}: {warning}"))
        return found

    return _once(session, (tree.objects, key, cert, hash, key_id, embed), open_it)


def tree_signer_finder(session: Session, signature: TreeSignature | None) -> Callable[[], tuple[Signer | None, str]]:
    """A function that finds the signer that a tree names; or None and the reason, "" for a tree that does not sign."""
    return _once(session, signature, lambda: tree_signer(signature))


def _once(session: Session, which: Hashable, open_it: Callable[[], Any]) -> Callable[[], Any]:
    """A function that calls `open_it` once in the run, whichever thread comes first; `which` names the key."""
    if which not in session.signers:
        session.signers[which] = once(open_it)
    return session.signers[which]
