# SPDX-License-Identifier: GPL-2.0-only
"""The certificates that came with a signature, from the signer's own upwards
(crypto/asymmetric_keys/pkcs7_verify.c: pkcs7_verify_one, pkcs7_verify_sig_chain)."""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.signing.certificates import Certificate
from kbuildpy.signing.pkcs7 import Message, MessageSigner

BROKEN = "the signature is broken, or the module was changed"


@dataclass(frozen=True)
class Chain:
    """One signer's certificates, each signed by the next."""

    certificates: tuple[Certificate, ...] = ()
    problem: str = ""
    """Why the kernel rejects the signature for them, "" where it does not."""


def chains_of(message: Message) -> list[Chain]:
    """The chain of each signer of a message, in order; empty where the signer's certificate did not come along."""
    # (a message may have thousands of signers with one certificate, or with those of one chain)
    walked: dict[int, Chain] = {}
    forged: dict[tuple[int, int], bool] = {}
    return [_chain_of(signer, message, walked, forged) for signer in message.signers]


def delegates_of(message: Message) -> tuple[Certificate, ...]:
    """The certificates that came with the first signer's signature, from its own upwards, as they name each other.
    (Whether each has signed the one below it, `chains_of` finds out.)"""
    current = message.by_identifier.get(message.signers[0].identifier)
    found: dict[int, Certificate] = {}
    while current is not None and id(current) not in found:
        found[id(current)] = current
        by_issuer, by_key = current.authority
        above = message.by_identifier.get(by_issuer) if by_issuer is not None else None
        current = above or (message.by_subject_key.get(by_key) if by_issuer is None and by_key else None)
    return tuple(found.values())


def _chain_of(
    signer: MessageSigner, message: Message, walked: dict[int, Chain], forged: dict[tuple[int, int], bool]
) -> Chain:
    # (the kernel compares with the first identifier only here: pkcs7_find_key)
    own = message.by_identifier.get(signer.identifier)
    if own is None:
        return Chain()
    if not own.verifies(signer.signed):
        return Chain(problem=BROKEN)
    if id(own) not in walked:
        walked[id(own)] = _walk_up(own, message, forged)
    return walked[id(own)]


def _walk_up(own: Certificate, message: Message, forged: dict[tuple[int, int], bool]) -> Chain:
    chain = [own]
    seen = {id(own)}
    current = own
    while not current.signs_itself:
        by_issuer, by_key = current.authority
        if by_issuer is not None:
            above = message.by_identifier.get(by_issuer)
            if above is not None and by_key is not None and above.subject_key != by_key:
                return Chain(tuple(chain), "the certificates that come with the signature contradict each other")
        else:
            above = message.by_subject_key.get(by_key) if by_key else None
        if above is None or id(above) in seen:
            break
        link = id(current), id(above)
        if link not in forged:
            forged[link] = current.signed is None or not above.verifies(current.signed)
        if forged[link]:
            return Chain(tuple(chain), "a certificate that comes with the signature is forged")
        chain.append(above)
        seen.add(id(above))
        current = above
    return Chain(tuple(chain))
