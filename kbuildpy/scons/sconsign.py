# SPDX-License-Identifier: GPL-2.0-only
"""SCons' database of what it built (`.sconsign.dblite`), for full disks and damaged files.

SCons' own ends in a traceback where there is no room for it, and where it cannot be read. Here the first is an
error like any other, and the second is as if nothing had been built. It is SCons' `dbm_module`.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import SCons.dblite
import SCons.Errors
import SCons.SConsign
import SCons.Script.Main

from kbuildpy.errors import KbuildError
from kbuildpy.say import complain
from kbuildpy.scons.actions import os_error_hint, print_error

# (before SCons 4.6 it was called `dblite`)
_Dblite = getattr(SCons.dblite, "_Dblite", None) or SCons.dblite.dblite


def use_database() -> None:
    """Let SCons keep its database this way, unless the project chose a database of its own."""
    if SCons.SConsign.DB_Module is SCons.dblite:
        SCons.SConsign.DB_Module = sys.modules[__name__]


class SconsignDatabase(_Dblite):  # type: ignore[misc, valid-type]
    """The database, read at once and written at the end of the run."""

    _unwritable = False

    def sync(self) -> None:
        """Write it. If that fails, say so once and let the run fail: targets that are not noted will be built again."""
        if self._unwritable:
            return
        try:
            super().sync()
        except OSError as error:
            self._unwritable = True
            with suppress(OSError):
                Path(self._tmp_name).unlink(missing_ok=True)
            print_error(KbuildError(f"{self._file_name}: {error.strerror}", hint=os_error_hint(error)))
            SCons.Script.Main.exit_status = 2


def open(file: str, flag: str = "r", mode: int = 0o666) -> SconsignDatabase:
    """The database `file`; an empty one in place of one that is damaged. Raises SCons' `UserError` for no access."""
    try:
        return SconsignDatabase(file, flag, mode)
    except OSError as error:
        raise SCons.Errors.UserError(f"{error.filename}: {error.strerror}") from error
    except Exception:  # unpickling garbage raises anything
        path = Path(file if file.endswith(SCons.dblite.DBLITE_SUFFIX) else f"{file}{SCons.dblite.DBLITE_SUFFIX}")
        complain(f"kbuildpy: {path}: damaged; building everything anew")
        path.unlink(missing_ok=True)
        return SconsignDatabase(file, flag, mode)
