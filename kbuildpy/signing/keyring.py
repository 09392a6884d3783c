# SPDX-License-Identifier: GPL-2.0-only
"""The keys that a kernel has when it looks at a module's signature.

Built-in ones (`.builtin_trusted_keys`), those added to them (`.secondary_trusted_keys`, `.machine` with the machine
owner's, `.platform` where a distribution patches that in) and what it refuses (`.blacklist`): certs/system_keyring.c,
certs/blacklist.c. Which ring a key is in makes no difference to a module, so here they are one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from kbuildpy.signing.certificates import Certificate
from kbuildpy.signing.loadable import Problem


@dataclass(frozen=True)
class Keyring:
    """What a kernel has to look at a signature with, and what it can do with it."""

    kernel: str = ""
    """The release that it belongs to, "" for none."""
    certificates: tuple[Certificate, ...] = ()
    """The trusted ones."""
    revoked: tuple[Certificate, ...] = ()
    blacklist: frozenset[str] = frozenset()
    """Words `tbs:HEX` (SHA-256 of a certificate's signed part) and `bin:HEX` (digest of a module without its
    signature)."""
    unknown: frozenset[str] = field(default=frozenset(), repr=False)
    """Object identifiers of algorithms that the kernel does not know; the others it has, or can load their modules."""
    waives_attributes: bool = False
    """It takes signed attributes in an ML-DSA signature (CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA)."""
    verifies_ml_dsa: bool = True
    """It can verify ML-DSA (CONFIG_CRYPTO_MLDSA): kernels without that know the algorithm by name all the same."""
    parses: frozenset[str] | None = field(default=None, repr=False)
    """The curves of ECDSA that it knows by name (`p256`); None where no kernel was asked."""
    verifies: frozenset[str] | None = field(default=None, repr=False)
    """The curves that it has something to verify with; None where no kernel was asked."""

    @cached_property
    def trusted_by_identifier(self) -> dict[bytes, Certificate]:
        """Trusted certificates by both of their identifiers; a blacklisted one never gets into a kernel's ring
        (x509_public_key.c: x509_key_preparse), nor one that it cannot load."""
        return _by_identifier(
            item for item in self.certificates if not self.is_blacklisted(item) and not self.problem_of(item)
        )

    @cached_property
    def revoked_by_identifier(self) -> dict[bytes, Certificate]:
        """The same of the revoked ones."""
        return _by_identifier(item for item in self.revoked if not self.problem_of(item))

    @cached_property
    def known_by_identifier(self) -> dict[bytes, Certificate]:
        """All certificates that a signature can be looked at with, trusted or not."""
        return _by_identifier((*self.certificates, *self.revoked))

    def problem_of(self, certificate: Certificate) -> Problem | None:
        """Why the kernel cannot load a certificate."""
        return certificate.problem(self.parses, self.verifies)

    def is_blacklisted(self, certificate: Certificate) -> bool:
        """Whether a certificate is on the blacklist."""
        return bool(self.blacklist) and certificate.tbs_hash in self.blacklist

    def whole(self) -> Keyring:
        """This keyring."""
        return self

    def restricted_to(self, identifiers: frozenset[bytes]) -> Keyring:
        """This keyring with only those certificates that bear one of `identifiers`; it says the same of a signature by
        these signers, if no certificates come with that."""
        found = self._restricted.get(identifiers)
        if found is None:
            certificates, revoked = (
                tuple(item for item in ring if not identifiers.isdisjoint((item.identifier, item.subject_key)))
                for ring in (self.certificates, self.revoked)
            )
            found = self._restricted[identifiers] = replace(self, certificates=certificates, revoked=revoked)
        return found

    @cached_property
    def _restricted(self) -> dict[frozenset[bytes], Keyring]:
        return {}

    def plus(
        self,
        certificates: Iterable[Certificate] = (),
        *,
        revoked: Iterable[Certificate] = (),
        blacklist: Iterable[str] = (),
    ) -> Keyring:
        """This keyring after more was enrolled, or revoked."""
        return replace(
            self,
            certificates=(*self.certificates, *certificates),
            revoked=(*self.revoked, *revoked),
            blacklist=self.blacklist | frozenset(blacklist),
        )


class Found(NamedTuple):
    """What a search in a ring came to: the `certificate`, None for none; `contradicted` where one bears the first
    identifier and another key than the second names."""

    certificate: Certificate | None
    contradicted: bool = False


def find(ring: dict[bytes, Certificate], first: bytes | None, second: bytes | None = None) -> Found:
    """The certificate that bears either identifier as one of its own.

    (crypto/asymmetric_keys/asymmetric_type.c: find_asymmetric_key)
    """
    wanted = second if first is None else first
    found = ring.get(wanted) if wanted else None
    if found is not None and first is not None and second is not None and found.subject_key != second:
        return Found(None, contradicted=True)
    return Found(found)


def _by_identifier(certificates: Iterable[Certificate]) -> dict[bytes, Certificate]:
    found: dict[bytes, Certificate] = {}
    for certificate in certificates:
        found.setdefault(certificate.identifier, certificate)
        if certificate.subject_key:
            found.setdefault(certificate.subject_key, certificate)
    return found
