# SPDX-License-Identifier: GPL-2.0-only
"""Whether a kernel takes a signature: crypto/asymmetric_keys/pkcs7_verify.c (pkcs7_verify) and pkcs7_trust.c
(pkcs7_validate_trust), in the order of certs/system_keyring.c (verify_pkcs7_message_sig).

The surprise is what "no key" means: a kernel without the certificate cannot tell a forged signature from a foreign
one, and says ENOKEY to both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kbuildpy.signing.certificates import Certificate, KeySignature
from kbuildpy.signing.chain import BROKEN, Chain, chains_of
from kbuildpy.signing.hashes import BY_OID
from kbuildpy.signing.keyring import ANYWHERE, NOWHERE, Keyring, find
from kbuildpy.signing.loadable import Problem
from kbuildpy.signing.pkcs7 import Message, MessageSigner


@dataclass(frozen=True)
class Rejection:
    """A kernel does not take a signature."""

    errno: str
    """What it answers: the name of the error."""
    reason: str


@dataclass(frozen=True)
class Judgement:
    """What is found out about a signature for one keyring."""

    valid: bool | None
    """The signature is intact; None if the certificate that could verify it is missing."""
    certificate: Certificate | None
    """The certificate that it was checked with."""
    rejection: Rejection | None
    """Why the kernel does not take it; None when it does."""


def judge(message: Message, keyring: Keyring) -> Judgement:
    """What the kernel that has `keyring` says of a message."""
    rejection = next((found for check in _CHECKS if (found := check(message, keyring))), None)
    known = {**message.by_identifier, **keyring.known_by_identifier}
    checked = [
        (signer.digest_matches and certificate.verifies(signer.signed), certificate)
        for signer in message.signers
        if (certificate := known.get(signer.identifier)) is not None
    ]
    if checked:
        valid, certificate = min(checked, key=lambda result: result[0])
        return Judgement(valid, certificate, rejection)
    # The digest in signed attributes can be compared without any key.
    changed = not all(signer.digest_matches for signer in message.signers)
    return Judgement(False if changed else None, None, rejection)


def _reject_unloadable(message: Message, keyring: Keyring) -> Rejection | None:
    """(The kernel's parser of the message reads the certificates that are in it, too.)"""
    return _first_problem(message, keyring.problem_of, "cannot be loaded: it ")


def _reject_unknown_algorithm(message: Message, keyring: Keyring) -> Rejection | None:
    unknown = [oid for signer in message.signers for oid in signer.oids if oid in keyring.unknown]
    if not unknown:
        return None
    return Rejection("ENOPKG", f"the kernel does not know its algorithm: {_algorithm_name(unknown[0], message)}")


def _reject_attributes(message: Message, keyring: Keyring) -> Rejection | None:
    if not message.has_attributes or (keyring.waives_attributes and all(map(_is_ml_dsa, message.signers))):
        return None
    return Rejection("EKEYREJECTED", "the signature has signed attributes, which the kernel refuses in a module's")


def _reject_other_contents(message: Message, keyring: Keyring) -> Rejection | None:
    if all(signer.digest_matches for signer in message.signers):
        return None
    return Rejection("EKEYREJECTED", "the signature is over other contents: the module was changed")


def _reject_unverifiable(message: Message, keyring: Keyring) -> Rejection | None:
    return _first_problem(message, lambda certificate: certificate.unverifiable(keyring.verifies), "")


def _reject_untrusted(message: Message, keyring: Keyring) -> Rejection | None:
    chains = chains_of(message)
    if broken := next((chain.problem for chain in chains if chain.problem), ""):
        return Rejection("EKEYREJECTED", broken)
    signed = list(zip(message.signers, chains, strict=True))
    if all(any(map(keyring.is_blacklisted, chain.certificates)) for chain in chains):
        return Rejection("EKEYREJECTED", "a certificate that comes with the signature is blacklisted")
    has_list = keyring.revokes != NOWHERE and bool(keyring.revoked)
    is_revoked = has_list and _untrusted(signed, keyring.revoked_by_identifier) is None
    if is_revoked and keyring.revokes == ANYWHERE:
        return _REVOKED
    if not keyring.kernel and any(f"bin:{signer.digest.hex()}" in keyring.blacklist for signer in message.signers):
        # Not load_module() but IMA's appraisal looks there (security/integrity/ima/ima_appraise.c:
        # ima_check_blacklist), with the digest that the signature is over, if a policy has modules appraised.
        return Rejection("EPERM", "the module's digest is blacklisted")
    rejection = _untrusted(signed, keyring.trusted_by_identifier)
    if rejection is not None and rejection.errno == "ENOKEY" and keyring.takes_platform:
        rejection = _REVOKED if is_revoked else _untrusted(signed, keyring.platform_by_identifier)
    if rejection is None:
        return _reject_unusable_key(message, keyring)
    return _why_unknown(message, keyring) or rejection if rejection.errno == "ENOKEY" else rejection


_REVOKED = Rejection("EKEYREJECTED", "its certificate is revoked")


_CHECKS: tuple[Callable[[Message, Keyring], Rejection | None], ...] = (
    _reject_unloadable,
    _reject_unknown_algorithm,
    _reject_attributes,
    _reject_other_contents,
    _reject_unverifiable,
    _reject_untrusted,
)
"""In the kernel's order: the first that rejects a signature has the error."""


def _first_problem(
    message: Message, problem_of: Callable[[Certificate], Problem | None], what: str
) -> Rejection | None:
    for certificate in message.embedded:
        if problem := problem_of(certificate):
            return Rejection(problem.errno, f"a certificate that comes with the signature {what}{problem.words}")
    return None


def _reject_unusable_key(message: Message, keyring: Keyring) -> Rejection | None:
    """Reject what a trusted certificate has signed whose key the kernel has nothing to verify with."""
    rings = keyring.trusted_by_identifier, keyring.platform_by_identifier
    for signer in message.signers:
        trusted = next((ring[signer.identifier] for ring in rings if signer.identifier in ring), None)
        if trusted is not None and (problem := trusted.unverifiable(keyring.verifies)):
            return Rejection("EKEYREJECTED", f"its certificate {problem.words}")
    if not keyring.verifies_ml_dsa and any(map(_is_ml_dsa, message.signers)):
        return Rejection("EKEYREJECTED", "the kernel has nothing to verify ML-DSA with (CONFIG_CRYPTO_MLDSA)")
    return None


def _why_unknown(message: Message, keyring: Keyring) -> Rejection | None:
    """Why the kernel has not the certificate of a signer, where it is one of those that it was given."""
    given = [item for signer in message.signers if (item := keyring.known_by_identifier.get(signer.identifier))]
    if any(map(keyring.is_blacklisted, given)):
        return Rejection("ENOKEY", "its certificate is blacklisted")
    if problem := next((problem for item in given if (problem := keyring.problem_of(item))), None):
        return Rejection("ENOKEY", f"the kernel cannot load its certificate ({problem.errno}), which {problem.words}")
    if not message.embedded and (issuer := next(_issuers(message, keyring), None)):
        return Rejection(
            "ENOKEY",
            f"no trusted certificate is the signer's: {issuer.name!r}, which has issued it, is the name of a trusted "
            "one; so another key with that name has signed, or a delegate, whose certificate has to come with the "
            "signature (kbuildpy sign --embed-certificates)",
        )
    return None


def _issuers(message: Message, keyring: Keyring) -> Iterator[Certificate]:
    """The trusted certificates that have the name of the issuer of a signer's certificate."""
    for signer in message.signers:
        if signer.issuer:
            yield from (
                item for item in keyring.trusted_by_identifier.values() if signer.identifier.endswith(item.subject)
            )


def _untrusted(signed: Sequence[tuple[MessageSigner, Chain]], ring: dict[bytes, Certificate]) -> Rejection | None:
    """Why the certificates of `ring` do not vouch for these signers with their chains, None if they do: one is enough,
    and a wrong signature of any is too much (pkcs7_trust.c: pkcs7_validate_trust)."""
    outcomes = []
    for signer, chain in signed:
        outcomes.append(_untrusted_signer(signer, chain.certificates, ring))
        if (last := outcomes[-1]) is not None and last.errno == "EKEYREJECTED":
            return last
    return None if None in outcomes else _NO_KEY


def _untrusted_signer(
    signer: MessageSigner, chain: Sequence[Certificate], ring: dict[bytes, Certificate]
) -> Rejection | None:
    """The same of one signer (pkcs7_trust.c: pkcs7_validate_trust_one)."""
    below: KeySignature | None = signer.signed
    for certificate in chain:
        # (the kernel goes on where the identifiers contradict each other)
        found = find(ring, certificate.identifier, certificate.subject_key).certificate
        if found is not None:
            return _unsigned_by(found, below)
        if certificate.signs_itself:
            return _NO_KEY
        below = certificate.signed
    if chain and any(chain[-1].authority):
        above = find(ring, *chain[-1].authority)
        if above.contradicted:
            return Rejection(
                "EKEYREJECTED", "the trusted certificate is not the one that the signature's certificate names"
            )
        if above.certificate is not None:
            return _unsigned_by(above.certificate, below)
    found = find(ring, signer.identifier).certificate
    return _NO_KEY if found is None else _unsigned_by(found, signer.signed)


_NO_KEY = Rejection("ENOKEY", "no trusted certificate is the signer's")


def _unsigned_by(certificate: Certificate, signed: KeySignature | None) -> Rejection | None:
    """A rejection if `signed` was not made with the key of `certificate`."""
    return None if signed is not None and certificate.verifies(signed) else Rejection("EKEYREJECTED", BROKEN)


def _is_ml_dsa(signer: MessageSigner) -> bool:
    return signer.signed.algorithm.startswith("ml-dsa")


def _algorithm_name(oid: str, message: Message) -> str:
    if oid in BY_OID:
        return BY_OID[oid].name
    signer = next(item for item in message.signers if oid in item.oids)
    hash = signer.signed.hash
    return f"{signer.signed.algorithm} with {hash.name}" if hash else signer.signed.algorithm
