# SPDX-License-Identifier: GPL-2.0-only
"""The kernel refuses a signature."""

from __future__ import annotations

from kbuildpy.errors import KbuildError


class Refused(KbuildError):
    """A signature that the kernel's parser refuses; `errno` is the name of the error that it returns."""

    def __init__(self, message: str, *, errno: str = "EBADMSG", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.errno = errno
