# SPDX-License-Identifier: GPL-2.0-only
"""The passphrase of the signing key, which Kbuild takes from KBUILD_SIGN_PIN: it is kept out of the environment of
other programs.

Compilers, make and QEMU do not need it, and each of them could read it.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIN_VARIABLE = "KBUILD_SIGN_PIN"
"""The variable of the environment that has it."""
_taken: list[str] = []


def signing_pin() -> str | None:
    """What KBUILD_SIGN_PIN holds, or held before `take_pin`; None if it is not set."""
    return _taken[-1] if _taken else os.environ.get(PIN_VARIABLE)


def take_pin() -> None:
    """Remove the passphrase from the environment, so that programs that are started later do not get it."""
    given = os.environ.pop(PIN_VARIABLE, None)
    if given is not None:
        keep_out_of_core_dumps()
        _taken.append(given)


def keep_pin(pin: str) -> None:
    """Have `signing_pin` give `pin`, which was typed, from now on."""
    keep_out_of_core_dumps()
    _taken.append(pin)


def environment_to_sign() -> dict[str, str] | None:
    """The environment for a process of kbuildpy that signs: with the passphrase. None, for this process' own, if there
    is no passphrase."""
    pin = signing_pin()
    return None if pin is None else {**os.environ, PIN_VARIABLE: pin}


@contextmanager
def pin_withheld() -> Iterator[None]:
    """Have `signing_pin` give nothing for a while."""
    before, _taken[:] = list(_taken), []
    try:
        yield
    finally:
        _taken[:] = before


@contextmanager
def pin_taken() -> Iterator[None]:
    """`take_pin` as a context manager, which restores the environment at its end."""
    given, before = os.environ.get(PIN_VARIABLE), list(_taken)
    take_pin()
    try:
        yield
    finally:
        _taken[:] = before
        if given is not None:
            os.environ[PIN_VARIABLE] = given


def keep_out_of_core_dumps() -> None:
    """Have no core dump written of this process, nor of those that it starts: a private key or its passphrase is in
    memory.

    A limit of 1 is what Linux takes for this, also where dumps are piped to a program, which a limit of 0 does not
    prevent (fs/coredump.c: do_coredump).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if (soft, hard) != (1, 1):
        # (below a hard limit of 0, 1 can be set with privilege only; the limit of 0 prevents core dumps as well)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
