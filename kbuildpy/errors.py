# SPDX-License-Identifier: GPL-2.0-only
"""The one exception that kbuildpy raises on purpose.

Everything that a user can correct is a `KbuildError`: what was wrong and where, and what to do. The command line and
the SCons tool print both parts and exit with `status`; a traceback is a defect.
"""

from __future__ import annotations


class KbuildError(Exception):
    """An error that the user can correct.

    `message` says what was wrong and where (file, section, symbol, line); `hint` says what to do, or is
    empty. `status` is the process's exit status: 1 the work failed, 2 the call was wrong.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


def unexpected(path: object, error: Exception) -> KbuildError:
    """The `KbuildError` for an unforeseen `error` with one file, in a run over many files that continues with the
    others."""
    if isinstance(error, MemoryError):
        return KbuildError(f"{path}: there is not enough memory for it")
    return KbuildError(
        f"{path}: internal error ({type(error).__name__}: {error})",
        hint="this is a defect of kbuildpy: please report it, with the file",
    )


class UsageError(KbuildError):
    """The call itself was wrong: an argument, a path, a combination of options (exit status 2)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, status=2)


class CommandError(KbuildError):
    """A program that we ran exited with an error; `stderr` is what it printed, `returncode` its status."""

    def __init__(self, message: str, *, hint: str = "", stderr: str = "", returncode: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.stderr = stderr
        self.returncode = returncode
