"""A debugger for modules in a guest: QEMU is one's remote target, and where the modules are is told to it."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path

from kbuildpy.errors import KbuildError

# What is gone when a module is loaded: other code may be there.
_FREED = (".init",)


def add_symbol_file(file: Path, sections: Mapping[str, str]) -> str:
    """gdb's command for the module in `file` whose sections are at these addresses (/sys/module/NAME/sections)."""
    words = ["add-symbol-file", str(file.absolute())]
    if ".text" in sections:
        words.append(sections[".text"])
    for name, address in sorted(sections.items(), key=lambda item: int(item[1], 16)):
        if name != ".text" and int(address, 16) and not name.startswith(_FREED):
            words += ["-s", name, address]
    return " ".join(shlex.quote(word) for word in words)


def pause(control: Path) -> None:
    """Stop the guest whose QEMU listens at the socket `control`, until a debugger lets it go on.

    Raises `KbuildError` when QEMU does not do it.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(control))
            with connection.makefile("rw") as stream:
                # Documentation of QEMU: interop/qmp-spec
                for command in ("qmp_capabilities", "stop"):
                    stream.write(json.dumps({"execute": command}) + "\n")
                    stream.flush()
                    while "return" not in json.loads(stream.readline()):
                        pass
    except (OSError, ValueError) as error:
        raise KbuildError(f"QEMU could not be told to wait for a debugger: {error}") from error
