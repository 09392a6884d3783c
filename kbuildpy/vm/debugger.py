# SPDX-License-Identifier: GPL-2.0-only
"""Support for gdb: QEMU is its remote target, and gdb gets the addresses of the modules."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from kbuildpy.debug.gdb_commands import add_symbol_file
from kbuildpy.elf.addresses import without_addresses
from kbuildpy.errors import KbuildError
from kbuildpy.printable import printable
from kbuildpy.vm.trial import Trial


def symbol_commands(
    trials: Sequence[Trial], sections: Mapping[int, Mapping[str, str]], scratch: Path, *, coming: int | None = None
) -> tuple[str, ...]:
    """gdb's commands that read the symbols of `trials`: `sections` are the addresses of their sections, by their
    numbers; copies of modules that gdb cannot read as they are go into `scratch`. `coming` is the number of a module
    whose init function has not run."""
    found = (
        add_symbol_file(symbol_file(trial, scratch), trial.image, sections[number], is_live=number != coming)
        for number, trial in enumerate(trials)
        if sections.get(number)
    )
    # (a line break in a name would begin a command of its own)
    return tuple(map(printable, found))


def how_to_attach(symbols: Sequence[str], port: int, script: Path | None, drgn: Sequence[str | Path] = ()) -> str:
    """What to type, as a text: gdb with the commands in `script`, else gdb and the commands `symbols`; and the command
    for `drgn`."""
    lines = ["", "kbuildpy: the guest waits for a debugger; gdb's `continue` resumes it:"]
    if script is not None:
        lines.append(printable(f"gdb -x {shlex.quote(str(script))}"))
    else:
        lines += [f"gdb -ex '{_attach(port)}'", *symbols]
    if drgn:
        lines.append(printable(shlex.join(map(str, drgn))))
    return "\n".join([*lines, "", ""])


def attached(symbols: Sequence[str], port: int) -> tuple[str, ...]:
    """gdb's commands that attach to the guest and read the symbols."""
    return ("set confirm off", _attach(port), *symbols)


def _attach(port: int) -> str:
    return f"target remote 127.0.0.1:{port}"


def symbol_file(trial: Trial, scratch: Path) -> Path:
    """The file of `trial` as gdb can use it: its own, or a copy in `scratch` without addresses or compression."""
    plain = without_addresses(trial.image)
    if trial.file.suffix == ".ko" and plain == trial.image.contents:
        return trial.file.absolute()
    copy = scratch / f"{trial.name}.ko"
    copy.write_bytes(plain)
    return copy


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
