# SPDX-License-Identifier: GPL-2.0-only
"""Looks at the signing key of a matrix before its cells do, so that a wrong one is one error, and asks for its
passphrase once."""

from __future__ import annotations

from contextlib import nullcontext

from kbuildpy.cli.terminal import ask_passphrase
from kbuildpy.errors import UsageError
from kbuildpy.pin import keep_pin, pin_withheld
from kbuildpy.signing.choose_signer import choose_signer


def open_key(key: str, certificate: str, *, hands_on: bool) -> None:
    """Open `key` and `certificate` (files or `pkcs11:` URIs; "" for the one in the key's file); what is typed as their
    passphrase is handed on to the processes of cells.

    `hands_on` is false where the executor would keep the passphrase in a file. Raises `UsageError` for a key with a
    passphrase then, and as `choose_signer` does.
    """
    typed: list[str] = []

    def ask(name: str) -> str | None:
        given = ask_passphrase(name)
        if given is not None:
            typed.append(given)
        return given

    def refuse(name: str) -> str | None:
        raise UsageError(
            f"{name}: it has a passphrase, and Slurm would keep that in a file, with the environment of the job",
            hint="sign with --executor local, or with a key on a token (pkcs11:...?pin-source=file:PATH)",
        )

    with nullcontext() if hands_on else pin_withheld():
        choose_signer(key, certificate, passphrase=ask if hands_on else refuse)
    if typed:
        keep_pin(typed[-1])
