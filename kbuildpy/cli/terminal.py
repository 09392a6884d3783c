# SPDX-License-Identifier: GPL-2.0-only
"""Asking for secrets: on the terminal. Never are they taken from the arguments, which everybody can read."""

from __future__ import annotations

import sys

from kbuildpy.errors import KbuildError


def ask_passphrase(name: str) -> str | None:
    """The passphrase that is typed for `name` (a file, a token); None where there is no terminal."""
    import getpass

    return getpass.getpass(f"Passphrase of {name}: ") if sys.stdin.isatty() else None


def ask_new_passphrase(name: str) -> str | None:
    """A passphrase for what is to be made, typed twice; `KbuildError` when the two differ."""
    given = ask_passphrase(f"{name}, which is to be made")
    if given is not None and given != ask_passphrase(f"{name}, once more"):
        raise KbuildError("the two passphrases differ; nothing was written")
    return given
