# SPDX-License-Identifier: GPL-2.0-only
"""Makes the key of a machine, and its certificate, apart from finding them: it imports cryptography."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from kbuildpy.errors import KbuildError
from kbuildpy.new_files import NewFile, write_new
from kbuildpy.signing.keygen import make_signing_key

_NAME = "DKMS module signing key"


def make_machine_key(key: Path, certificate: Path) -> None:
    """Write a new RSA key, which its owner alone can read, and its certificate in DER. Raises `KbuildError`."""
    made = make_signing_key("rsa-2048", common_name=_NAME, mok=True)
    try:
        key.parent.mkdir(parents=True, exist_ok=True)
        write_new(
            [
                NewFile(key, made.pem(None), 0o600),
                NewFile(certificate, made.certificate.public_bytes(Encoding.DER), 0o644),
            ]
        )
    except OSError as error:
        where = error.filename or key
        raise KbuildError(f"{where}: {error.strerror}", hint="the key of this machine is kept there") from error
