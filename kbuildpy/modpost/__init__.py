"""modpost: from module objects and symvers to `.mod.c` files, a `Module.symvers` and diagnostics.

The counterpart of scripts/mod/modpost.c, file2alias.c and sumversion.c, for every kernel from one code.
A name is imported when it is first used: who only describes modules does not pay for reading them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kbuildpy.modpost.diagnostics import Diagnostic
    from kbuildpy.modpost.known import KnownModules
    from kbuildpy.modpost.layouts import DeviceTableLayouts
    from kbuildpy.modpost.options import ModpostOptions
    from kbuildpy.modpost.records import ModuleObject, ObjectRecord
    from kbuildpy.modpost.stage import ModpostResult, modpost, prepare

__all__ = [
    "DeviceTableLayouts",
    "Diagnostic",
    "KnownModules",
    "ModpostOptions",
    "ModpostResult",
    "ModuleObject",
    "ObjectRecord",
    "modpost",
    "prepare",
]

_HOMES = {
    "DeviceTableLayouts": "layouts",
    "Diagnostic": "diagnostics",
    "KnownModules": "known",
    "ModpostOptions": "options",
    "ModpostResult": "stage",
    "ModuleObject": "records",
    "ObjectRecord": "records",
    "modpost": "stage",
    "prepare": "stage",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
