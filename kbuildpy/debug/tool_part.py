# SPDX-License-Identifier: GPL-2.0-only
"""What to type for one tool."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kbuildpy.printable import printable


@dataclass(frozen=True)
class ToolPart:
    """The commands of one tool."""

    tool: str
    """Its name, which stays."""
    heading: str
    commands: tuple[str, ...] = ()
    """Lines for a shell."""
    prompt: str = ""
    """What the tool shows where it waits for the lines `inside`."""
    inside: tuple[str, ...] = ()
    """Lines for the tool itself."""
    notes: tuple[str, ...] = ()

    def escaped(self) -> ToolPart:
        """The same without characters that control a terminal: names are foreign."""
        return replace(
            self,
            commands=tuple(map(printable, self.commands)),
            inside=tuple(map(printable, self.inside)),
            notes=tuple(map(printable, self.notes)),
        )
