# SPDX-License-Identifier: GPL-2.0-only
"""Private keys that never leave a token (a smart card, an HSM, SoftHSM), through PKCS#11.

The counterpart is scripts/sign-file.c: read_private_key_pkcs11, which has OpenSSL's pkcs11 engine do this. Here a token
is asked to log in once: a wrong PIN is never tried again, because tokens lock themselves after a few.

python-pkcs11 starts a library without telling it that there are threads (C_Initialize(NULL)), so the standard allows
one call at a time. With a session for each of two threads, SoftHSM fails (CKR_GENERAL_ERROR); so one thread makes all
calls (`library_calls`), and meanwhile others can read, digest and write, as python-pkcs11 releases the GIL. A process
that was forked must not use its parent's keys: PKCS#11 forbids that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509 import Certificate, ObjectIdentifier
from pkcs11 import (
    Attribute,
    AttributeSensitive,
    AttributeTypeInvalid,
    KeyType,
    Mechanism,
    ObjectClass,
    PKCS11Error,
    TokenFlag,
    TokenNotPresent,
    TokenNotRecognised,
)

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.pin import keep_out_of_core_dumps
from kbuildpy.signing import asn1
from kbuildpy.signing.hashes import Hash
from kbuildpy.signing.library_calls import LibraryCalls
from kbuildpy.signing.pkcs11_library import open_library
from kbuildpy.signing.pkcs11_login import log_in
from kbuildpy.signing.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri
from kbuildpy.signing.private_key import KeyGoneError, KeyOrigin, Passphrase, this_machine
from kbuildpy.signing.public_key import key_algorithm
from kbuildpy.signing.public_key_info import public_bytes
from kbuildpy.signing.signer_certificate import checked_certificate
from kbuildpy.signing.structures import AlgorithmIdentifier, DigestInfo

_Result = TypeVar("_Result")
_CALLS = LibraryCalls()
"""Makes every call of a PKCS#11 library; see above."""


@dataclass(frozen=True)
class TokenKey:
    """A private key on a token, and the session that may use it. See `PrivateKey`."""

    algorithm: str
    name: str
    _public: Any = field(repr=False)
    _key: Any = field(repr=False)
    _operate: Callable[..., bytes] = field(repr=False)
    _given_up: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    def sign(self, contents: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises `KeyGoneError` when the token does not sign, or is there no more."""
        # Only the digest goes to the token. (Made here: hashlib lets other threads run.)
        return self.sign_digest(hash.of(contents), hash)

    def sign_digest(self, digest: bytes, hash: Hash) -> bytes:
        """See `PrivateKey`. Raises as `sign`."""
        if self.algorithm == "rsa":
            return self._ask(_digest_info(hash, digest), Mechanism.RSA_PKCS)
        # What exceeds the curve's size has no part in the signature, and some tokens refuse it.
        digest = digest[: (self._public.curve.key_size + 7) // 8]
        return _ecdsa_der(self._ask(digest, Mechanism.ECDSA))

    def origin(self) -> KeyOrigin:
        """See `PrivateKey`."""
        return this_machine(self.name)

    def public_bytes(self) -> bytes:
        """See `PrivateKey`."""
        return public_bytes(self._public)

    def certificate(self) -> Certificate | None:
        """The certificate that the token has for this key: with the same id and public key."""
        found = _calling(self.name, lambda: _certificates(self._key.session, {"ID": self._key.id}, self.name))
        return next((item for item in found if public_bytes(item.public_key()) == self.public_bytes()), None)

    def give_up(self) -> None:
        """See `PrivateKey`."""
        _CALLS.give_up(self._given_up)

    def _ask(self, digest: bytes, mechanism: Any) -> bytes:
        call = partial(self._operate, digest, mechanism=mechanism)
        return _named(self.name, lambda: _CALLS.run(call, self._given_up), KeyGoneError)


def load_token_key(name: str, passphrase: Passphrase) -> TokenKey:
    """The private key that the URI `name` names, its token logged in to.

    The PIN is what the URI's pin-source holds, else what `passphrase` answers. Raises `UsageError` for a wrong URI, and
    `KbuildError` when there is no such library, token or key, when it is not the only one, or when the PIN is wrong.
    """
    uri = parse_pkcs11_uri(name)
    if uri.type not in (None, "private"):
        raise UsageError(f"{uri}: type={uri.type} is not a private key", hint="use type=private, or remove the type")
    keep_out_of_core_dumps()
    library = _CALLS.run(lambda: open_library(uri))
    token = _calling(str(uri), lambda: _find_token(library, uri))
    session, pin = _named(str(uri), lambda: log_in(token, uri, passphrase, _CALLS))
    return _calling(str(uri), lambda: _find_key(session, uri, pin))


def load_token_pair(name: str, passphrase: Passphrase) -> tuple[TokenKey, Certificate]:
    """The private key that the URI `name` names, and its certificate on the same token. Raises as `load_token_key`, and
    `KbuildError` when the token has no certificate for it."""
    key = load_token_key(name, passphrase)
    certificate = key.certificate()
    if certificate is None:
        raise KbuildError(
            f"{key.name}: the token has no certificate for this key",
            hint="name the certificate: --cert CERT; and quote the URI, as for the shell a ; ends the command",
        )
    return key, certificate


def load_token_certificate(name: str) -> Certificate:
    """The certificate that the URI `name` names; no PIN is asked for, as certificates can be read without.

    Raises as `load_token_key`.
    """
    uri = parse_pkcs11_uri(name)
    if uri.type not in (None, "cert"):
        raise UsageError(f"{uri}: type={uri.type} is not a certificate", hint="use type=cert, or remove the type")
    library = _CALLS.run(lambda: open_library(uri))
    token = _calling(str(uri), lambda: _find_token(library, uri))
    found, labels = _calling(str(uri), lambda: _read_certificates(token, uri))
    only: Certificate = _only(found, f"certificate {uri}", labels)
    return only


def _read_certificates(token: Any, uri: Pkcs11Uri) -> tuple[list[Certificate], list[str]]:
    """The certificates that `uri` names, and the labels of all that there are."""
    session = token.open()
    try:
        return _certificates(session, _wanted(uri), str(uri)), _labels(session, "CERTIFICATE")
    finally:
        session.close()


def _find_token(library: Any, uri: Pkcs11Uri) -> Any:
    tokens = []
    for slot in library.get_slots(token_present=True):
        try:
            token = slot.get_token()
        except (TokenNotPresent, TokenNotRecognised):
            continue
        # (SoftHSM always has one that is not made yet)
        if token.flags & TokenFlag.TOKEN_INITIALIZED:
            tokens.append(token)
    found = [token for token in tokens if all(_says(token, name) == value for name, value in uri.token.items())]
    wanted = ", ".join(f"{name}={value}" for name, value in uri.token.items())
    return _only(found, f"token with {wanted}" if wanted else "token", [token.label for token in tokens])


def _says(token: Any, name: str) -> str:
    """What a token says of itself, by RFC 7512's name for it."""
    if name == "serial":
        return str(token.serial.decode(errors="replace")).strip()
    if name == "slot-id":
        return str(token.slot.slot_id)
    if name.startswith("slot-"):
        return str(token.slot.slot_description if name == "slot-description" else token.slot.manufacturer_id).strip()
    return str({"token": token.label, "manufacturer": token.manufacturer_id, "model": token.model}[name]).strip()


def _find_key(session: Any, uri: Pkcs11Uri, pin: str | None) -> TokenKey:
    found = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY, **_template(_wanted(uri))}))
    key = _only(found, f"private key {uri}", _labels(session, "PRIVATE_KEY"))
    if key.key_type not in (KeyType.RSA, KeyType.EC):
        raise UsageError(
            f"{uri}: a token's key of this kind ({getattr(key.key_type, 'name', key.key_type)}) cannot sign modules",
            hint="use an RSA key or an ECDSA key (P-256, P-384, P-521)",
        )
    public = _public_key(session, key, str(uri))
    if public is None:
        raise KbuildError(
            f"{uri}: the token has the private key, but neither its public key nor a certificate with the same id",
            hint="write one of them to the token, with the private key's id",
        )
    operate = key.sign
    if pin is not None and _attribute(key, "ALWAYS_AUTHENTICATE"):
        # Such a key (slot 9c of a PIV card) takes the PIN for each signature. It has just been found right.
        def operate(digest: bytes, *, mechanism: Any) -> bytes:
            return key.sign(digest, mechanism=mechanism, pin=pin)  # type: ignore[no-any-return]

    return TokenKey(key_algorithm(public), str(uri), public, key, operate)


def _public_key(session: Any, key: Any, name: str) -> Any:
    """The public key of a private key, as cryptography's object: out of the private key's own attributes (RSA), its
    public key (same id), its certificate."""
    beside = list(session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: key.id}))
    for item in (key, *beside):
        if key.key_type == KeyType.RSA:
            modulus, exponent = _attribute(item, "MODULUS"), _attribute(item, "PUBLIC_EXPONENT")
            if modulus and exponent:
                return rsa.RSAPublicNumbers(_number(exponent), _number(modulus)).public_key()
        elif item is not key and (point := _attribute(item, "EC_POINT")):
            return _point(_attribute(item, "EC_PARAMS") or _attribute(key, "EC_PARAMS"), point)
    return next((item.public_key() for item in _certificates(session, {"ID": key.id}, name)), None)


def _point(parameters: bytes, point: bytes) -> Any:
    try:
        curve = ec.get_curve_for_oid(asn1.decode_der(ObjectIdentifier, parameters))()
    except (ValueError, LookupError):
        curve = None
    if not isinstance(curve, (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)):
        raise UsageError("the token's key is on a curve that no kernel knows", hint="use P-256, P-384 or P-521")
    # PKCS#11 wants the point in an OCTET STRING; some tokens give it bare.
    bare = len(point) == 1 + 2 * ((curve.key_size + 7) // 8) and point[0] == 4
    return ec.EllipticCurvePublicKey.from_encoded_point(curve, point if bare else asn1.decode_der(bytes, point))


def _certificates(session: Any, wanted: dict[str, Any], name: str) -> list[Certificate]:
    found = session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE, **_template(wanted)})
    return [checked_certificate(value, name) for item in list(found) if (value := _attribute(item, "VALUE"))]


def _wanted(uri: Pkcs11Uri) -> dict[str, Any]:
    return {name: value for name, value in (("LABEL", uri.object), ("ID", uri.id)) if value is not None}


def _template(wanted: dict[str, Any]) -> dict[Any, Any]:
    return {Attribute[name]: value for name, value in wanted.items()}


def _labels(session: Any, kind: str) -> list[str]:
    """The objects of one kind on a token, by their labels."""
    found = list(session.get_objects({Attribute.CLASS: ObjectClass[kind]}))
    return [str(_attribute(item, "LABEL") or "(no label)") for item in found]


def _only(found: list[Any], what: str, labels: list[str]) -> Any:
    if len(found) == 1:
        return found[0]
    listed = f"there are: {', '.join(sorted(labels))}" if labels else "the token has none"
    if found:
        raise UsageError(f"{what}: {len(found)} match", hint=f"{listed}\nname one by token, serial, object or id")
    raise KbuildError(f"no {what}", hint=listed)


def _attribute(item: Any, name: str) -> Any:
    """An attribute of an object; None where a token does not have it, or does not tell."""
    try:
        return item[Attribute[name]]
    except (AttributeTypeInvalid, AttributeSensitive, KeyError):
        return None


def _digest_info(hash: Hash, digest: bytes) -> bytes:
    """What is signed with RSA (RFC 8017, section 9.2): CKM_RSA_PKCS only adds the padding."""
    algorithm = AlgorithmIdentifier(algorithm=ObjectIdentifier(hash.oid), parameters=asn1.Null())
    return bytes(asn1.encode_der(DigestInfo(digest_algorithm=algorithm, digest=digest)))


def _ecdsa_der(signature: bytes) -> bytes:
    """r and s as DER; PKCS#11 has them side by side."""
    half = len(signature) // 2
    return encode_dss_signature(_number(signature[:half]), _number(signature[half:]))


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _calling(name: str, call: Callable[[], _Result]) -> _Result:
    """What `call` of a library returns. Raises as `_named`."""
    return _named(name, lambda: _CALLS.run(call))


def _named(name: str, call: Callable[[], _Result], failed: type[KbuildError] = KbuildError) -> _Result:
    """What `call` returns; `failed` is raised when the library or the token fails, by PKCS#11's name of the error."""
    try:
        return call()
    except PKCS11Error as error:
        reason = type(error).__name__
    # (Raised here, where no exception is handled: the library's has our arguments in its traceback.)
    raise failed(
        f"{name}: the token failed ({reason})",
        hint="was it unplugged? Plug it in and run the command again: it continues with the remaining modules",
    )
