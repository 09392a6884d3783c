# SPDX-License-Identifier: GPL-2.0-only
"""Asks for passphrases on the terminal. They are never taken from arguments, which other users can read."""

from __future__ import annotations

import getpass
import sys

from kbuildpy.errors import KbuildError


def ask_passphrase(name: str) -> str | None:
    """The passphrase that the user types for `name` (a file, a token); None without a terminal.

    Raises `KbuildError` where the input ends (Ctrl-D) before the line does.
    """
    try:
        return getpass.getpass(f"Passphrase of {name}: ") if sys.stdin.isatty() else None
    except EOFError as ended:
        raise KbuildError(
            f"{name}: no passphrase was typed", hint="type it and press Enter, or put it into KBUILD_SIGN_PIN"
        ) from ended


def ask_new_passphrase(name: str) -> str | None:
    """A passphrase for a new key, typed twice. Raises `KbuildError` if the two differ; None without a terminal."""
    given = ask_passphrase(f"the new key {name}")
    if given is not None and given != ask_passphrase(f"{name}, once more"):
        raise KbuildError("the two passphrases differ; nothing was written")
    return given
