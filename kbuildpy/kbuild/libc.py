# SPDX-License-Identifier: GPL-2.0-only
"""Functions of the C library, for `namespace`. They are loaded at import, because loading between fork and exec can
deadlock."""

from __future__ import annotations

import ctypes
from ctypes import get_errno

from kbuildpy.child import end_with

__all__ = ["end_with", "get_errno", "mount", "setns", "unshare"]

_library = ctypes.CDLL(None, use_errno=True)
mount, setns, unshare = _library.mount, _library.setns, _library.unshare
