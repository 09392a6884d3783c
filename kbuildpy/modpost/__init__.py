"""modpost: from module objects and symvers to `.mod.c` files, a `Module.symvers` and diagnostics.

The counterpart of scripts/mod/modpost.c, file2alias.c and sumversion.c, for every kernel from one code.
"""

from kbuildpy.modpost.diagnostics import Diagnostic
from kbuildpy.modpost.layouts import DeviceTableLayouts
from kbuildpy.modpost.options import ModpostOptions
from kbuildpy.modpost.reading import ModuleObject
from kbuildpy.modpost.records import ObjectRecord
from kbuildpy.modpost.stage import ModpostResult, modpost

__all__ = [
    "DeviceTableLayouts",
    "Diagnostic",
    "ModpostOptions",
    "ModpostResult",
    "ModuleObject",
    "ObjectRecord",
    "modpost",
]
