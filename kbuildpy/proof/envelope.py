# SPDX-License-Identifier: GPL-2.0-only
"""DSSE envelopes (Dead Simple Signing Envelope, protocol 1.0), without the cryptography.

A signature is not over the payload's text in JSON but over its bytes, after its type and the lengths of both (PAE).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from kbuildpy.errors import KbuildError

PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class EnvelopeSignature:
    """A signature of an envelope."""

    keyid: str
    """A hint which key made it (`seal.key_id`)."""
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """A payload with signatures."""

    payload: bytes
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]

    @property
    def signed_bytes(self) -> bytes:
        """What signatures are over."""
        return pae(self.payload_type, self.payload)

    def text(self) -> str:
        """The envelope as JSON, in one line."""
        value = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": item.keyid, "sig": base64.b64encode(item.sig).decode()} for item in self.signatures
            ],
        }
        return json.dumps(value, separators=(",", ":"))


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding of a payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def is_envelope(value: Any) -> bool:
    """Whether a JSON value looks like an envelope."""
    return isinstance(value, dict) and "payload" in value and "signatures" in value


def parse_envelope(value: Any, where: str) -> Envelope:
    """The envelope in a JSON value, which came from `where`. Raises `KbuildError` for one that is damaged or holds no
    in-toto statement."""
    try:
        signatures = tuple(
            EnvelopeSignature(str(item.get("keyid", "")), _decoded(item["sig"])) for item in value["signatures"]
        )
        found = Envelope(_decoded(value["payload"]), str(value["payloadType"]), signatures)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise KbuildError(f"{where}: a damaged DSSE envelope ({error})") from error
    if found.payload_type != PAYLOAD_TYPE:
        raise KbuildError(
            f"{where}: the envelope holds {found.payload_type}, not an in-toto statement ({PAYLOAD_TYPE})"
        )
    return found


def _decoded(text: str) -> bytes:
    # (the protocol allows the alphabet for URLs as well)
    return base64.b64decode(text.replace("-", "+").replace("_", "/").encode(), validate=True)
