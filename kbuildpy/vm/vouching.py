# SPDX-License-Identifier: GPL-2.0-only
"""Recognises forged reports of a guest.

A module in the guest can read the log, and with it what reports begin with; and it can write there. So a report that
decides a result ends with a word that was made for it alone and is in no log before: process 1 has them all, takes one
after the other, and the file that they came in is emptied before the first module is loaded. (A module that looks for
them in the memory of that process finds them: nothing that runs beside a module in one kernel is safe from it.)
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from kbuildpy.vm.report import Report

VOUCHED = frozenset(
    (
        *("ready", "insmod", "rmmod", "errno", "tainted", "stop", "coming", "loaded", "test", "ended", "tested"),
        *("untested", "linger", "shell", "left", "repeated", "over", "done"),
    )
)
"""The first words of reports that are vouched for; the guest is told them (guest_run.sh: report)."""


def new_vouchers(modules: int, tests: int) -> list[str]:
    """Enough words for a boot with so many modules and tests."""
    # (for a module five when it is loaded and three when it is removed, for a test three)
    return [secrets.token_hex(6) for _ in range(16 + 8 * modules + 3 * tests)]


class Vouching:
    """Goes through the reports of a boot with its `vouchers`, in order; without any, all reports are taken."""

    def __init__(self, vouchers: Sequence[str]) -> None:
        self._left = list(vouchers)
        self._any = bool(vouchers)

    def take(self, report: Report) -> Report | None:
        """The `report` without the word that vouches for it; None for one that is forged."""
        if not self._any or report.word not in VOUCHED:
            return report
        rest, _, voucher = f" {report.rest}".rpartition(" ")
        # (the words of lost reports are passed over: a flood of messages can overwrite many)
        if voucher not in self._left:
            return None
        del self._left[: self._left.index(voucher) + 1]
        return Report(report.word, rest.removeprefix(" "))
