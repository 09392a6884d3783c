# SPDX-License-Identifier: GPL-2.0-only
"""The keys that a kernel has when it looks at a module's signature.

Built-in ones (`.builtin_trusted_keys`), those added to them (`.secondary_trusted_keys`, `.machine` with the machine
owner's), those of `.platform` where a distribution patches that in, and what it refuses (`.blacklist`):
certs/system_keyring.c, certs/blacklist.c. Which ring a key is in makes no difference to a module, so here all are one,
but for `.platform`: it is looked into last, and what is revoked counts there in all versions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from kbuildpy.kernel.release import version_of
from kbuildpy.signing.certificates import Certificate
from kbuildpy.signing.loadable import Problem
from kbuildpy.signing.since import BLACKLISTED_BY_SHA256, REVOKED_ANYWHERE

ANYWHERE = "anywhere"
"""Revoked certificates are looked for before any ring is."""
IN_PLATFORM = "in platform"
"""They are looked for before `.platform` is."""
NOWHERE = "nowhere"
"""The kernel has no list for them (CONFIG_SYSTEM_REVOCATION_LIST)."""


@dataclass(frozen=True)
class Keyring:
    """What a kernel has to look at a signature with, and what it can do with it."""

    kernel: str = ""
    """The release that it belongs to, "" for none."""
    certificates: tuple[Certificate, ...] = ()
    """The trusted ones."""
    platform: tuple[Certificate, ...] = ()
    """Those of `.platform`, if the kernel `takes_platform`."""
    revoked: tuple[Certificate, ...] = ()
    blacklist: frozenset[str] = frozenset()
    """Words `tbs:HEX` (digest of a certificate's signed part) and `bin:HEX` (digest of a file)."""
    takes_platform: bool = False
    """It looks into `.platform` where no other ring has the signer, which distributions patch in."""
    refuses_files: bool = False
    """It looks for the SHA-256 of the whole module file on the blacklist, which Debian patches in."""
    revokes: str = ANYWHERE
    """Which signers it looks for on the list of revoked certificates: `ANYWHERE`, `IN_PLATFORM` or `NOWHERE`."""
    blacklists_by_sha256: bool | None = None
    """The digest of a certificate on the blacklist is a SHA-256, not the digest that signs the certificate; None for an
    unknown kernel, which may take either."""
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

    @classmethod
    def of(cls, release: str) -> Keyring:
        """The keyring of the kernel `release` without any key: it revokes as the kernels of that version do."""
        try:
            version = version_of(release)
        except ValueError:
            return cls(release)
        return cls(
            release,
            revokes=ANYWHERE if version >= REVOKED_ANYWHERE else IN_PLATFORM,
            blacklists_by_sha256=version >= BLACKLISTED_BY_SHA256,
        )

    @cached_property
    def trusted_by_identifier(self) -> dict[bytes, Certificate]:
        """Trusted certificates by both of their identifiers; a blacklisted one never gets into a kernel's ring
        (x509_public_key.c: x509_key_preparse), nor one that it cannot load."""
        return self._usable(self.certificates)

    @cached_property
    def platform_by_identifier(self) -> dict[bytes, Certificate]:
        """The same of those of `.platform`."""
        return self._usable(self.platform)

    @cached_property
    def revoked_by_identifier(self) -> dict[bytes, Certificate]:
        """The same of the revoked ones."""
        return _by_identifier(item for item in self.revoked if not self.problem_of(item))

    @cached_property
    def known_by_identifier(self) -> dict[bytes, Certificate]:
        """All certificates that a signature can be looked at with, trusted or not."""
        return _by_identifier((*self.certificates, *self.platform, *self.revoked))

    def problem_of(self, certificate: Certificate) -> Problem | None:
        """Why the kernel cannot load a certificate."""
        return certificate.problem(self.parses, self.verifies)

    def is_blacklisted(self, certificate: Certificate) -> bool:
        """Whether a certificate is on the blacklist."""
        if not self.blacklist:
            return False
        hashes = {True: [certificate.tbs_hash], False: [certificate.signed_tbs_hash]}
        both = [certificate.tbs_hash, certificate.signed_tbs_hash]
        chosen = both if self.blacklists_by_sha256 is None else hashes[self.blacklists_by_sha256]
        return not self.blacklist.isdisjoint(chosen)

    def _usable(self, certificates: Iterable[Certificate]) -> dict[bytes, Certificate]:
        return _by_identifier(
            item for item in certificates if not self.is_blacklisted(item) and not self.problem_of(item)
        )

    def whole(self) -> Keyring:
        """This keyring."""
        return self

    def restricted_to(self, identifiers: frozenset[bytes]) -> Keyring:
        """This keyring with only those certificates that bear one of `identifiers`, or have the name of the issuer in
        one; it says the same of a signature by these signers, if no certificates come with that."""
        found = self._restricted.get(identifiers)
        if found is None:
            certificates, platform, revoked = (
                tuple(item for item in ring if _concerns(item, identifiers))
                for ring in (self.certificates, self.platform, self.revoked)
            )
            found = self._restricted[identifiers] = replace(
                self, certificates=certificates, platform=platform, revoked=revoked
            )
        return found

    @cached_property
    def _restricted(self) -> dict[frozenset[bytes], Keyring]:
        return {}

    def plus(
        self,
        certificates: Iterable[Certificate] = (),
        *,
        platform: Iterable[Certificate] = (),
        revoked: Iterable[Certificate] = (),
        blacklist: Iterable[str] = (),
    ) -> Keyring:
        """This keyring after more was enrolled, or revoked."""
        return replace(
            self,
            certificates=(*self.certificates, *certificates),
            platform=(*self.platform, *platform),
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


def _concerns(certificate: Certificate, identifiers: frozenset[bytes]) -> bool:
    if not identifiers.isdisjoint((certificate.identifier, certificate.subject_key)):
        return True
    return any(identifier.endswith(certificate.subject) for identifier in identifiers)
