# SPDX-License-Identifier: GPL-2.0-only
"""The name of a key or certificate on a token: a `pkcs11:` URI (RFC 7512), as sign-file takes them too.

An attribute that we do not know is refused, not passed over: what is left of the URI could name another key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from kbuildpy.errors import KbuildError, UsageError
from kbuildpy.files import read_limited
from kbuildpy.signing.key_name import SCHEME

_TOKEN = ("token", "serial", "manufacturer", "model", "slot-id", "slot-description", "slot-manufacturer")
_OBJECT = ("object", "id", "type")
_QUERY = ("module-path", "module-name", "pin-source", "pin-value")
_TYPES = ("private", "cert", "public", "secret-key", "data")


@dataclass(frozen=True)
class Pkcs11Uri:
    """What a URI asks for. `token` has the token's attributes, by RFC 7512's names; None for an attribute that is
    missing."""

    token: Mapping[str, str]
    object: str | None = None
    id: bytes | None = None
    type: str | None = None
    pin_source: Path | None = None
    module_path: Path | None = None
    module_name: str | None = None

    def __str__(self) -> str:
        """The name for messages."""
        parts = [f"{name}={value}" for name, value in self.token.items()]
        parts += [f"object={self.object}"] if self.object is not None else []
        parts += [f"id={self.id.hex(':')}"] if self.id is not None else []
        return SCHEME + ";".join(parts)


def parse_pkcs11_uri(uri: str) -> Pkcs11Uri:
    """Take `uri` apart.

    Raises `UsageError` for one that is malformed, has attributes that are not known, or holds a PIN. The error never
    quotes the query, where that may stand.
    """
    # (Anywhere: also where a wrong delimiter made it part of something else, that we would quote.)
    if "pin-value" in unquote(uri).lower():
        raise UsageError(
            "pin-value in a pkcs11: URI is refused: everybody on this machine can read a command line",
            hint="put the PIN into KBUILD_SIGN_PIN, or into a file that pin-source=file:PATH names",
        )
    path, _, query = uri[len(SCHEME) :].partition("?")
    named = _attributes(path, ";", (*_TOKEN, *_OBJECT))
    asked = _attributes(query, "&", _QUERY)
    kind = _text(named.get("type"))
    if kind is not None and kind not in _TYPES:
        raise UsageError(f"type={kind} in a pkcs11: URI", hint=f"the types are {', '.join(_TYPES)}")
    return Pkcs11Uri(
        token={name: unquote(value, errors="replace") for name, value in named.items() if name in _TOKEN},
        object=_text(named.get("object")),
        id=unquote_to_bytes(named["id"]) if "id" in named else None,
        type=kind,
        pin_source=_pin_source(_text(asked.get("pin-source"))),
        module_path=Path(unquote(asked["module-path"])) if "module-path" in asked else None,
        module_name=_text(asked.get("module-name")),
    )


def read_pin(path: Path) -> str:
    """The PIN in the file that a URI's pin-source names, without the end of its line.

    Raises `KbuildError` when the file cannot be read or holds no text; the text itself is in no message.
    """
    contents = None
    try:
        contents = read_limited(path, 4096).rstrip(b"\r\n").decode()
    except OSError as error:
        raise KbuildError(f"{path} (pin-source): {error.strerror}") from error
    except UnicodeDecodeError:
        # (that exception holds the file's contents: it must not become this one's context)
        pass
    if not contents:
        raise KbuildError(f"{path} (pin-source): the file has no PIN")
    return contents


def _attributes(part: str, separator: str, known: tuple[str, ...]) -> dict[str, str]:
    """The attributes in a part of a URI, still percent-encoded."""
    found: dict[str, str] = {}
    for item in filter(None, part.split(separator)):
        name, equals, value = item.partition("=")
        if name not in known or not equals:
            raise UsageError(
                f"{unquote(name, errors='replace')}: not known in {_where(separator)} of a pkcs11: URI",
                hint=f"known there: {', '.join(item for item in known if item != 'pin-value')}",
            )
        if name in found:
            raise UsageError(f"{name} occurs twice in a pkcs11: URI")
        found[name] = value
    return found


def _where(separator: str) -> str:
    return "the part before the ?" if separator == ";" else "the part after the ?"


def _text(value: str | None) -> str | None:
    return None if value is None else unquote(value, errors="replace")


def _pin_source(value: str | None) -> Path | None:
    if value is None:
        return None
    if value.startswith("|"):
        raise UsageError(
            "pin-source: a program is not run for the PIN",
            hint="name a file: pin-source=file:PATH, or use KBUILD_SIGN_PIN",
        )
    path = value[len("file:") :] if value.lower().startswith("file:") else value
    if path.startswith("//"):
        # file://HOST/PATH; the host may be empty.
        path = "/" + path[2:].partition("/")[2]
    if "\0" in path:
        raise UsageError("pin-source: the path has a NUL in it (%00)")
    return Path(path)
