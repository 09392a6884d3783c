# SPDX-License-Identifier: GPL-2.0-only
"""Opens the key and the certificate that `choose_signer` was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.x509 import Certificate

from kbuildpy.errors import KbuildError
from kbuildpy.signing.find_key import environment_passphrase, find_pair, shown_name
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.key_name import is_pkcs11_uri, require_tokens
from kbuildpy.signing.key_pool import KeyPool
from kbuildpy.signing.pkcs11_uri import parse_pkcs11_uri, read_pin
from kbuildpy.signing.private_key import Passphrase, PrivateKey
from kbuildpy.signing.read_file import read_small_file
from kbuildpy.signing.session_key import SessionGroup
from kbuildpy.signing.signer import Signer
from kbuildpy.signing.signer_certificate import further_certificates


def open_signer(
    key: str,
    certificate: str,
    hash: str,
    *,
    kernel_hash: Callable[[], str],
    use_key_id: bool,
    embed: bool,
    passphrase: Passphrase | None,
    more_keys: Sequence[str],
    sessions: int,
    tell: Callable[[str], None] | None,
) -> Signer:
    """See `choose_signer`."""
    chosen = find_hash(hash) if hash else None
    if more_keys or sessions > 1:
        require_tokens((key, *more_keys))
    asked = _Remembered(environment_passphrase(passphrase))
    several = bool(more_keys) or sessions > 1
    opened, loaded = find_pair(_without_pin_source(key) if several else key, certificate, asked.of(key))
    if several:
        opened = _in_sessions(opened, key, more_keys, sessions, asked, tell)
    if chosen is None:
        chosen = find_hash("sha512" if opened.algorithm.startswith("ml-dsa") else kernel_hash() or "sha256")
    return Signer(opened, loaded, chosen, use_key_id, embedded_with(loaded, certificate or key) if embed else ())


def embedded_with(certificate: Certificate, name: str) -> tuple[Certificate, ...]:
    """The certificates that come with signatures for `certificate`, which is the first one in the file `name`."""
    return (certificate, *_behind(name, certificate))


class _Remembered:
    """Passphrases that are asked for once for each key, although each of its sessions needs them."""

    def __init__(self, passphrase: Passphrase) -> None:
        self._passphrase = passphrase
        self._known: dict[tuple[str, str], str | None] = {}

    def of(self, key: str) -> Passphrase:
        """The passphrase of `key`."""

        def ask(name: str) -> str | None:
            if (key, name) not in self._known:
                file = parse_pkcs11_uri(key).pin_source if is_pkcs11_uri(key) else None
                self._known[key, name] = self._passphrase(name) if file is None else read_pin(file)
            return self._known[key, name]

        return ask


def _in_sessions(
    first: PrivateKey,
    key: str,
    more_keys: Sequence[str],
    sessions: int,
    asked: _Remembered,
    tell: Callable[[str], None] | None,
) -> PrivateKey:
    """The key in so many sessions of each of its tokens; `first` is one of them."""
    names = [*more_keys, *(name for name in (key, *more_keys) for _ in range(sessions - 1))]
    group = SessionGroup()
    # The processes start at the same time, and log in one after the other: a wrong PIN is then not tried again, and
    # SoftHSM does not find a token that another process is logging in to.
    begun = [group.start(_without_pin_source(name)) for name in names]
    members = [first, *(session.open(asked.of(name)) for name, session in zip(names, begun, strict=True))]
    for name, member in zip((key, *names), members, strict=True):
        if member.public_bytes() != first.public_bytes():
            raise KbuildError(
                f"{shown_name(name)}: not the key that {shown_name(key)} is", hint="name tokens with copies of one key"
            )
    return KeyPool(members, tell or (lambda _: None))


def _behind(name: str, first: Certificate) -> tuple[Certificate, ...]:
    """The certificates behind the `first` one in the file `name`: those between a delegate and an enrolled key. A token
    has none, and of a pipe nothing is left."""
    path = Path(name)
    if is_pkcs11_uri(name) or not path.is_file():
        return ()
    found = further_certificates(read_small_file(path), name)
    return tuple(each for each in found if each != first)


def _without_pin_source(uri: str) -> str:
    """`uri` without the file of its PIN: it is read once, here (it may be a pipe)."""
    path, mark, query = uri.partition("?")
    left = [item for item in query.split("&") if item.partition("=")[0] != "pin-source"]
    return f"{path}{mark}{'&'.join(left)}" if any(left) else path
