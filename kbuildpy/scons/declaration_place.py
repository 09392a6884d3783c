# SPDX-License-Identifier: GPL-2.0-only
"""The line of an SConstruct that declares something, for messages."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType

import SCons.Node


def declaration_place() -> str:
    """`SConstruct:7: `: file (as below the top directory) and line that SCons is reading; empty when it reads none."""
    names: dict[str, str] = {}
    ours = str(Path(__file__).with_name("standalone.scons"))
    for node in getattr(SCons.Node, "SConscriptNodes", ()):
        for known in (node, node.srcnode(), node.rfile()):
            names[known.get_abspath()] = node.srcnode().get_internal_path()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = names.get(os.path.abspath(frame.f_code.co_filename))  # noqa: PTH100 - as SCons writes it
        if name and frame.f_code.co_filename != ours:
            return f"{name}:{frame.f_lineno}: "
        frame = frame.f_back
    return ""
