# SPDX-License-Identifier: GPL-2.0-only
"""Logs in to a token without ever locking it.

A token counts wrong PINs and locks itself, for good, after a few (three on many cards). Its flags (PKCS#11,
CK_TOKEN_INFO) show that a lock is near, but not the number of tries that are left.
"""

from __future__ import annotations

from typing import Any

from pkcs11 import PROTECTED_AUTH, PKCS11Error, TokenFlag, UserAlreadyLoggedIn

from kbuildpy.errors import KbuildError
from kbuildpy.signing.library_calls import LibraryCalls
from kbuildpy.signing.pkcs11_uri import Pkcs11Uri, read_pin
from kbuildpy.signing.private_key import Passphrase


def log_in(token: Any, uri: Pkcs11Uri, passphrase: Passphrase, calls: LibraryCalls) -> tuple[Any, str | None]:
    """A session in which the private keys of `token` can be used, and the PIN if one was asked for; `calls` makes the
    library's calls.

    There is one attempt, and none when one more wrong PIN would lock the token. Raises `KbuildError` when the PIN is
    wrong, or cannot be had.
    """
    name = f"token {token.label}"
    if not token.flags & TokenFlag.LOGIN_REQUIRED:
        return calls.run(token.open), None
    _refuse_hopeless(token, name)
    if uri.pin_source is None and token.flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH:
        pin = None  # the token has a keypad of its own
    else:
        pin = read_pin(uri.pin_source) if uri.pin_source else passphrase(f"{name} (its PIN)")
        # (an empty one would be counted as a wrong one)
        if not pin:
            raise KbuildError(
                f"{name} needs a PIN",
                hint="set KBUILD_SIGN_PIN, name a file with ?pin-source=file:PATH, or run the command on a terminal",
            )
        if any("\ud800" <= letter <= "\udfff" for letter in pin):
            # (how Python holds bytes of the environment that are no text)
            pin = None
            raise KbuildError(f"{name}: the PIN is not in UTF-8")
    try:
        return calls.run(lambda: token.open(user_pin=PROTECTED_AUTH if pin is None else pin)), pin
    except UserAlreadyLoggedIn:
        # By this process: all its sessions of a token are logged in, or none is.
        return calls.run(token.open), pin
    except PKCS11Error as error:
        reason = type(error).__name__
    # (Raised here, where no exception is handled, so that nothing carries the PIN along in its traceback.)
    pin = None
    raise calls.run(lambda: _refusal(token, name, reason))


def _refuse_hopeless(token: Any, name: str) -> None:
    if token.flags & TokenFlag.USER_PIN_LOCKED:
        raise KbuildError(f"{name} is locked: too many wrong PINs", hint="its security officer can unlock it")
    if not token.flags & TokenFlag.USER_PIN_INITIALIZED:
        raise KbuildError(f"{name} has no user PIN yet", hint="set one up, with pkcs11-tool --init-pin or its own tool")
    if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
        raise KbuildError(
            f"{name} has one try left before it locks itself: no login is tried",
            hint="log in with the right PIN by hand, which resets the counter: pkcs11-tool --login --list-objects",
        )


def _refusal(token: Any, name: str, reason: str) -> KbuildError:
    """The error to raise for a login that failed for PKCS#11's `reason`."""
    if reason in ("PinIncorrect", "PinLenRange", "PinInvalid"):
        return KbuildError(f"{name}: the PIN is wrong; it is not tried again{_left(token)}")
    if reason == "PinLocked":
        return KbuildError(f"{name} is locked: too many wrong PINs", hint="its security officer can unlock it")
    if reason == "PinExpired":
        return KbuildError(f"{name}: the PIN has expired", hint="set a new one with pkcs11-tool --change-pin")
    return KbuildError(f"{name}: cannot log in ({reason})")


def _left(token: Any) -> str:
    """The token's state after a wrong PIN, as a sentence; "" if it has none."""
    try:
        flags = token.slot.get_token().flags
    except PKCS11Error:
        return ""
    if flags & TokenFlag.USER_PIN_LOCKED:
        return ". The token is locked now"
    if flags & TokenFlag.USER_PIN_FINAL_TRY:
        return ". The token has one try left before it locks itself"
    if flags & TokenFlag.USER_PIN_COUNT_LOW:
        return ". The token says that wrong PINs were given: it locks itself after a few"
    return ""
