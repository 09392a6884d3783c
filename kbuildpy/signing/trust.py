"""Whether a kernel takes a signature: crypto/asymmetric_keys/pkcs7_verify.c (pkcs7_verify) and pkcs7_trust.c
(pkcs7_validate_trust), in the order of certs/system_keyring.c (verify_pkcs7_message_sig).

The surprise is what "no key" means: a kernel without the certificate cannot tell a forged signature from a foreign
one, and says ENOKEY to both.
"""

from __future__ import annotations

from dataclasses import dataclass

from kbuildpy.signing.certificates import Certificate, Signed
from kbuildpy.signing.hashes import BY_OID
from kbuildpy.signing.keyring import Keyring, find
from kbuildpy.signing.pkcs7 import Message, Signer


@dataclass(frozen=True)
class Judgement:
    """`errno` is what the kernel answers, None when it takes the signature; `reason` says why it does not.

    `valid`: the signature is intact; None where nobody can tell for want of the certificate. `certificate` is the one
    that it was checked with.
    """

    valid: bool | None
    errno: str | None
    reason: str | None
    certificate: Certificate | None


def judge(message: Message, keyring: Keyring) -> Judgement:
    """What the kernel that has `keyring` says of a message."""
    valid, certificate = _look(message, keyring)
    errno, reason = _refusal(message, keyring)
    return Judgement(valid, errno, reason, certificate)


def _look(message: Message, keyring: Keyring) -> tuple[bool | None, Certificate | None]:
    """Whether the signatures are intact, whatever the kernel would say, as far as certificates are known."""
    known = _known(message, keyring)
    results = [
        (signer.digest_matches and certificate.verifies(signer.signed), certificate)
        for signer, certificate in ((item, known.get(item.identifier)) for item in message.signers)
        if certificate is not None
    ]
    if results:
        return min(results, key=lambda result: result[0])
    # The digest in signed attributes can be compared without any key.
    return (None if all(signer.digest_matches for signer in message.signers) else False), None


def _known(message: Message, keyring: Keyring) -> dict[bytes, Certificate]:
    if not message.embedded:
        return keyring.known_by_identifier
    return {**{item.identifier: item for item in message.embedded}, **keyring.known_by_identifier}


def _refusal(message: Message, keyring: Keyring) -> tuple[str | None, str | None]:
    for certificate in message.embedded:
        # (the parser of the message reads those, too)
        if problem := keyring.problem_of(certificate):
            return problem.errno, f"a certificate that comes with the signature cannot be loaded: it {problem.words}"
    unknown = [oid for signer in message.signers for oid in signer.oids if oid in keyring.unknown]
    if unknown:
        return "ENOPKG", f"the kernel does not know its algorithm: {_algorithm_name(unknown[0], message)}"
    if message.has_attributes and not (keyring.waives_attributes and all(map(_is_ml_dsa, message.signers))):
        return "EKEYREJECTED", "the signature has signed attributes, which the kernel refuses in a module's"
    if not all(signer.digest_matches for signer in message.signers):
        return "EKEYREJECTED", "the signature is over other contents: the module was changed"
    for certificate in message.embedded:
        if problem := certificate.unverifiable(keyring.verifies):
            return problem.errno, f"a certificate that comes with the signature {problem.words}"
    walked: dict[int, tuple[list[Certificate], str]] = {}
    chains = [_chain(signer, message, walked) for signer in message.signers]
    broken = next((problem for _, problem in chains if problem), None)
    if broken:
        return "EKEYREJECTED", broken
    signed = list(zip(message.signers, (chain for chain, _ in chains), strict=True))
    if all(chain and any(keyring.is_blacklisted(item) for item in chain) for _, chain in signed):
        return "EKEYREJECTED", "a certificate that comes with the signature is blacklisted"
    if keyring.revoked and _trust(signed, keyring.revoked_by_identifier)[0] is None:
        return "EKEYREJECTED", "its certificate is revoked"
    if keyring.blacklist and any(f"bin:{signer.digest.hex()}" in keyring.blacklist for signer in message.signers):
        # Not load_module() but IMA's appraisal looks there (security/integrity/ima/ima_appraise.c:
        # ima_check_blacklist), with the digest that the signature is over.
        return "EPERM", "the module's digest is blacklisted"
    errno, reason = _trust(signed, keyring.trusted_by_identifier)
    if errno is None:
        for item in (keyring.trusted_by_identifier.get(signer.identifier) for signer in message.signers):
            if item is not None and (problem := item.unverifiable(keyring.verifies)):
                return "EKEYREJECTED", f"its certificate {problem.words}"
    if errno is None and not keyring.verifies_ml_dsa and any(map(_is_ml_dsa, message.signers)):
        return "EKEYREJECTED", "the kernel has nothing to verify ML-DSA with (CONFIG_CRYPTO_MLDSA)"
    signing = [item for signer in message.signers if (item := keyring.known_by_identifier.get(signer.identifier))]
    if errno == "ENOKEY" and any(map(keyring.is_blacklisted, signing)):
        return errno, "its certificate is blacklisted"
    problems = [problem for item in signing if (problem := keyring.problem_of(item))]
    if errno == "ENOKEY" and problems:
        return errno, f"the kernel cannot load its certificate ({problems[0].errno}), which {problems[0].words}"
    return errno, reason


def _chain(
    signer: Signer, message: Message, walked: dict[int, tuple[list[Certificate], str]]
) -> tuple[list[Certificate], str]:
    """The certificates that came with the signature, from the signer's own upwards, and what is wrong with them
    (pkcs7_verify.c: pkcs7_verify_one, pkcs7_verify_sig_chain); `walked` are those of other signers, by certificate."""
    # (the kernel compares with the first identifier only here: pkcs7_find_key)
    current = message.by_identifier.get(signer.identifier)
    if current is None:
        return [], ""
    if not current.verifies(signer.signed):
        return [], "the signature is broken, or the module was changed"
    if id(current) not in walked:
        walked[id(current)] = _walk_up(current, message)
    return walked[id(current)]


def _walk_up(current: Certificate, message: Message) -> tuple[list[Certificate], str]:
    chain = [current]
    seen = {id(current)}
    while not _signs_itself(current):
        by_issuer, by_key = current.authority
        if by_issuer is not None:
            above = message.by_identifier.get(by_issuer)
            if above is not None and by_key is not None and above.subject_key != by_key:
                return chain, "the certificates that come with the signature contradict each other"
        else:
            above = message.by_subject_key.get(by_key) if by_key else None
        if above is None or id(above) in seen:
            break
        if current.signed is None or not above.verifies(current.signed):
            return chain, "a certificate that comes with the signature is forged"
        chain.append(above)
        seen.add(id(above))
        current = above
    return chain, ""


def _trust(
    signed: list[tuple[Signer, list[Certificate]]], ring: dict[bytes, Certificate]
) -> tuple[str | None, str | None]:
    """What trust in the certificates of `ring` makes of signers and their chains: nothing for one that is found,
    ENOKEY for none, EKEYREJECTED for a wrong signature (pkcs7_trust.c: pkcs7_validate_trust)."""
    trusted = False
    for signer, chain in signed:
        errno, reason = _trust_one(signer, chain, ring)
        if errno == "EKEYREJECTED":
            return errno, reason
        trusted = trusted or errno is None
    return (None, None) if trusted else ("ENOKEY", "no trusted certificate is the signer's")


def _trust_one(
    signer: Signer, chain: list[Certificate], ring: dict[bytes, Certificate]
) -> tuple[str | None, str | None]:
    below: Signed | None = signer.signed
    for certificate in chain:
        # (the kernel goes on where the identifiers contradict each other)
        found, _ = find(ring, certificate.identifier, certificate.subject_key)
        if found is not None:
            return _outcome(found, below)
        if _signs_itself(certificate):
            return "ENOKEY", None
        below = certificate.signed
    if chain and any(chain[-1].authority):
        found, contradicted = find(ring, *chain[-1].authority)
        if contradicted:
            return "EKEYREJECTED", "the trusted certificate is not the one that the signature's certificate names"
        if found is not None:
            return _outcome(found, below)
    found, _ = find(ring, signer.identifier)
    return ("ENOKEY", None) if found is None else _outcome(found, signer.signed)


def _outcome(found: Certificate, signed: Signed | None) -> tuple[str | None, str | None]:
    if signed is not None and found.verifies(signed):
        return None, None
    return "EKEYREJECTED", "the signature is broken, or the module was changed"


def _signs_itself(certificate: Certificate) -> bool:
    """(crypto/asymmetric_keys/x509_public_key.c: x509_check_for_self_signed)"""
    by_issuer, by_key = certificate.authority
    if not certificate.issued_by_itself:
        return False
    named = by_issuer is not None or by_key is not None
    if named and certificate.identifier != by_issuer and (by_key is None or certificate.subject_key != by_key):
        return False
    return certificate.signed is not None and certificate.verifies(certificate.signed)


def _is_ml_dsa(signer: Signer) -> bool:
    return signer.signed.algorithm.startswith("ml-dsa")


def _algorithm_name(oid: str, message: Message) -> str:
    if oid in BY_OID:
        return BY_OID[oid].name
    signer = next(item for item in message.signers if oid in item.oids)
    hash = signer.signed.hash
    return f"{signer.signed.algorithm} with {hash.name}" if hash else signer.signed.algorithm
