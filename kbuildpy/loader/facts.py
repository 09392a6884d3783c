# SPDX-License-Identifier: GPL-2.0-only
"""Facts about a kernel that may be missing, and the checks that are left out without them.

`Unchecked.sentence` makes the message for a check that was left out.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Fact(Enum):
    """A fact about a kernel; the value is its name in messages."""

    CONFIG = "the kernel's configuration"
    VERMAGIC = "the kernel's vermagic"
    STRUCT_MODULE = "the layout of struct module"
    EXPORTS = "the exported symbols"
    CERTIFICATES = "the built-in certificates"
    OWN_MODULES = "the kernel's own modules"
    TYPES = "the kernel's own types"

    def not_known(self, reason: str = "") -> str:
        """Return the message that the fact is not known, with `reason` in parentheses if it is not empty."""
        verb = "are" if self.value.endswith("s") else "is"
        return f"{self.value} {verb} not known" + (f" ({reason})" if reason else "")


class Unchecked(NamedTuple):
    """A check that was not made."""

    check: str
    """The check, or the question that stays open."""
    fact: Fact | None = None
    """The fact about the kernel that is missing; None if the check was left out for another reason."""
    reason: str = ""
    """Why the fact is missing, or the other reason; "" if it is not known."""

    @property
    def sentence(self) -> str:
        """One line for people: `the size of struct module: the layout of struct module is not known (...)`."""
        why = self.fact.not_known(self.reason) if self.fact else self.reason
        return f"{self.check}: {why}" if why else self.check
