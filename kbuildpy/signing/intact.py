# SPDX-License-Identifier: GPL-2.0-only
"""Whether a signature that is there already is one by a certificate's key."""

from __future__ import annotations

from cryptography.x509 import Certificate

from kbuildpy.errors import KbuildError
from kbuildpy.signing.cms import parse, signers
from kbuildpy.signing.hashes import BY_OID
from kbuildpy.signing.public_key import ML_DSA_OIDS, is_signature_by, key_algorithm


def is_intact(contents: bytes, signature: bytes, certificate: Certificate) -> bool:
    """Whether the CMS message `signature`, which has no signed attributes, is `certificate`'s over `contents`."""
    try:
        [info] = signers(parse(signature))
    except (KbuildError, ValueError):
        return False
    if info.signed_attributes is not None:
        return False
    key = certificate.public_key()
    kind, hash = key_algorithm(key), BY_OID.get(info.digest_algorithm.algorithm.dotted_string)
    algorithm = info.signature_algorithm.algorithm.dotted_string
    if kind in ML_DSA_OIDS:
        return algorithm == ML_DSA_OIDS[kind] and is_signature_by(key, info.signature, contents, None)
    if hash is None or (kind != "rsa" and (kind != "ecdsa" or algorithm != hash.ecdsa_oid)):
        return False
    return is_signature_by(key, info.signature, hash.of(contents), hash)
