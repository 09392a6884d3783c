"""Whether a signature is good under a key: the one place that calls the library's verification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbuildpy.errors import KbuildError
from kbuildpy.signing.cms import ML_DSA, parse, signers
from kbuildpy.signing.hashes import BY_OID
from kbuildpy.signing.keys import key_algorithm

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def is_intact(contents: bytes, signature: bytes, certificate: Certificate) -> bool:
    """Whether the CMS message `signature`, which has no signed attributes, is `certificate`'s over `contents`."""
    try:
        [info] = signers(parse(signature))
    except (KbuildError, ValueError):
        return False
    if info.signed_attributes is not None:
        return False
    return is_good(
        certificate.public_key(),
        info.signature,
        contents,
        hash_oid=info.digest_algorithm.algorithm.dotted_string,
        algorithm_oid=info.signature_algorithm.algorithm.dotted_string,
    )


def is_good(key: Any, signature: bytes, contents: bytes, *, hash_oid: str, algorithm_oid: str) -> bool:
    """Whether `signature` is good for `contents` under the public `key`, by the algorithms that it says it is of."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

    kind, hash = key_algorithm(key), BY_OID.get(hash_oid)
    try:
        if kind == "rsa" and hash is not None:
            key.verify(signature, hash.of(contents), padding.PKCS1v15(), utils.Prehashed(hash.algorithm()))
        elif kind == "ecdsa" and hash is not None and algorithm_oid == hash.ecdsa_oid:
            key.verify(signature, hash.of(contents), ec.ECDSA(utils.Prehashed(hash.algorithm())))
        elif kind and ML_DSA.get(kind) == algorithm_oid:
            key.verify(signature, contents)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
