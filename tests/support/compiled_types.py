# SPDX-License-Identifier: GPL-2.0-only
"""Types as a compiler describes them: C text to debug information, and to BTF where pahole is here."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kbuildpy.abi.btf_graph import BtfGraph
from kbuildpy.abi.module_view import ModuleView
from kbuildpy.debug.debug_info import DebugInfo
from kbuildpy.elf import ModuleImage
from kbuildpy.loader.btf.header import parse_header
from kbuildpy.loader.btf.types import read_types

BTF_VERSION = (6, 1)


def compiled(text: str, place: Path, name: str = "x", *options: str) -> Path:
    """The object that gcc makes of `text`, in `place`, with debug information."""
    place.mkdir(parents=True, exist_ok=True)
    source = place / f"{name}.c"
    source.write_text(text)
    target = place / f"{name}.o"
    subprocess.run(["gcc", "-g", "-O2", "-c", *options, source, "-o", target], check=True)
    return target


def view_of(object_file: Path) -> ModuleView:
    """The types in the debug information of an object."""
    return ModuleView(DebugInfo(ModuleImage.from_path(object_file)))


def btf_of_object(object_file: Path) -> BtfGraph:
    """The types of an object in BTF, which pahole makes of its debug information."""
    subprocess.run(["pahole", "-J", object_file], check=True)
    image = ModuleImage.from_path(object_file)
    section = image.section(".BTF")
    assert section is not None
    parts = parse_header(image.section_data(section), BTF_VERSION, is_split=False)
    return BtfGraph(read_types(parts.types, parts.strings, BTF_VERSION))
