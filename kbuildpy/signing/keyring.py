"""The keys that a kernel has when it looks at a module's signature.

Built-in ones (`.builtin_trusted_keys`), those added to them (`.secondary_trusted_keys`, `.machine` with the machine
owner's, `.platform` where a distribution patches that in) and what it refuses (`.blacklist`): certs/system_keyring.c,
certs/blacklist.c. Which ring a key is in makes no difference to a module, so here they are one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from kbuildpy.signing.certificates import Certificate

if TYPE_CHECKING:
    from kbuildpy.signing.loadable import Problem


@dataclass(frozen=True)
class Keyring:
    """`certificates` that are trusted, `revoked` ones, and `blacklist`: words `tbs:HEX` (SHA-256 of a certificate's
    signed part) and `bin:HEX` (digest of a module without its signature).

    `kernel` is the release it belongs to, "" for none. `unknown` are the algorithms (object identifiers) that the
    kernel does not know; of the others it is taken for granted that it has them, or can load their modules, but for
    ML-DSA (`verifies_ml_dsa`), which kernels know by name that have nothing to verify it with (CONFIG_CRYPTO_MLDSA).
    `parses` are the curves of ECDSA that it knows by name (`p256`), and `verifies` those that it has something to
    verify with; None where no kernel was asked. `waives_attributes`: it takes signed attributes in an ML-DSA signature
    (CONFIG_PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA).
    """

    kernel: str = ""
    certificates: tuple[Certificate, ...] = ()
    revoked: tuple[Certificate, ...] = ()
    blacklist: frozenset[str] = frozenset()
    unknown: frozenset[str] = field(default=frozenset(), repr=False)
    waives_attributes: bool = False
    verifies_ml_dsa: bool = True
    parses: frozenset[str] | None = field(default=None, repr=False)
    verifies: frozenset[str] | None = field(default=None, repr=False)

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


def find(
    ring: dict[bytes, Certificate], first: bytes | None, second: bytes | None = None
) -> tuple[Certificate | None, bool]:
    """The certificate that bears either identifier as one of its own, and whether `second` contradicts `first`.

    (crypto/asymmetric_keys/asymmetric_type.c: find_asymmetric_key)
    """
    wanted = second if first is None else first
    found = ring.get(wanted) if wanted else None
    if found is None:
        return None, False
    if first is not None and second is not None and found.subject_key != second:
        return None, True
    return found, False


def _by_identifier(certificates: Iterable[Certificate]) -> dict[bytes, Certificate]:
    found: dict[bytes, Certificate] = {}
    for certificate in certificates:
        found.setdefault(certificate.identifier, certificate)
        if certificate.subject_key:
            found.setdefault(certificate.subject_key, certificate)
    return found
