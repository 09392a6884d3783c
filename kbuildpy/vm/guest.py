# SPDX-License-Identifier: GPL-2.0-only
"""Follows a running guest: shows and reads its console, and limits its time.

The guest has time limits of its own for the functions of modules. The limits here are for a kernel that hangs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from kbuildpy.printable import printable
from kbuildpy.vm.boot_report import BootReport
from kbuildpy.vm.qemu import log_line
from kbuildpy.vm.report import FORGED, OUTPUT, Report, printed, read_line
from kbuildpy.vm.reports import boot_of
from kbuildpy.vm.vouching import Vouching

_BOOT = 240.0
"""Seconds that a kernel may take to start, translated on a busy machine."""
_GRACE = 15.0
"""Seconds that a guest may be late with its own limits."""

_STOPPED = "---[ end Kernel panic"
"""What a kernel prints after a panic when it did not get to start the machine again (kernel/panic.c: panic())."""

_TITLES = {"insmod": "INSMOD", "rmmod": "RMMOD", "test": "TEST"}


class Guest:
    """One boot; `watch` is what `run_live()` wants.

    `names` are the modules by number and `tests` the tests, `marker` is what the guest's reports begin with, `vouchers`
    what some of them end with (see `kbuildpy.vm.vouching`; with none, all are taken for the guest's), `limit`
    what it was told, as `test_limit` and `linger` for tests and after them. `show`
    gets what people should see, as bytes; with `verbose` also what the kernel says while it starts. `stops` are called
    with the report so far, when a report with their word comes (see `debugger_stops`). There is no time limit from
    `coming`, or from `loaded` if that is one of them, to the end of `wait`ing. With `shell` people get a shell when the
    modules are loaded, and all of its output as it is: without, whatever a guest reports, nothing of it gets to a
    terminal but as lines of printable text.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        marker: str,
        vouchers: Sequence[str] = (),
        limit: float,
        show: Callable[[bytes], None],
        verbose: bool = False,
        stops: Mapping[str, Callable[[BootReport], None]] = MappingProxyType({}),
        tests: Sequence[str] = (),
        test_limit: float = 0,
        linger: float = 0,
        shell: bool = False,
    ) -> None:
        self._subjects = {"insmod": names, "rmmod": names, "test": tests}
        self._limits = {"test": test_limit, "linger": linger}
        self._marker = marker
        self._vouching = Vouching(vouchers)
        self._limit = limit
        self._show = show
        self._shown = verbose
        self._reported = False
        self._stops = stops
        self._shell = shell
        self._lines: list[Report | str] = []
        self._rest = b""
        self._pieces = ""
        self._raw = False
        self._hung = False
        self._deadline: float | None = time.monotonic() + _BOOT

    def watch(self, chunk: bytes) -> float | None:
        """Take output of the guest; the seconds that it still has."""
        if self._raw and chunk:
            self._show(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._take(line)
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        self._hung = left <= 0 and not self._over()
        return left

    def report(self) -> BootReport:
        """All that was reported."""
        rest = log_line(self._rest)
        # (an incomplete report does not count: its errno may lack digits)
        whole = rest and isinstance(read_line(rest, self._marker), str)
        return boot_of([*self._lines, rest] if whole else self._lines, hung=self._hung)

    def _take(self, line: bytes) -> None:
        text = log_line(line, errors="surrogateescape")
        if not text:
            return
        found = read_line(text, self._marker)
        if isinstance(found, Report):
            own = self._vouching.take(found)
            if own is not None:
                self._lines.append(own)
                self._take_report(own)
                return
            line = f"{FORGED}{found.word} {found.rest}".rstrip(" ").encode(errors="surrogateescape")
        self._lines.append(log_line(line))
        # (later, a module may print it)
        if not self._reported and text.startswith(_STOPPED):
            self._deadline = time.monotonic()
        if self._shown and not self._raw:
            self._say(line.rstrip(b"\r").decode(errors="surrogateescape"))

    def _take_report(self, report: Report) -> None:
        self._reported = True
        self._follow(report.word)
        if report.word in _TITLES:
            subjects = self._subjects[report.word]
            if report.number is not None and report.number < len(subjects):
                self._say(f"  {_TITLES[report.word]:8}{subjects[report.number]}")
        elif report.word in ("out", "out+"):
            self._pieces += report.rest
            if report.word == "out":
                self._say(printed(self._pieces))
                self._pieces = ""
        elif report.word in self._stops:
            self._stops[report.word](boot_of(self._lines))

    def _say(self, line: str) -> None:
        """Show a line, with characters that control a terminal escaped."""
        self._show(f"{printable(line)}\n".encode())

    def _follow(self, word: str) -> None:
        """A report came: set the time until the next one."""
        self._shown = True
        if word in ("done", "over"):
            self._deadline = 0
        elif (word == "shell" and self._shell) or (word in ("coming", "loaded") and word in self._stops):
            self._deadline = None
        elif word in ("insmod", "rmmod"):
            # (a debugger may stop a function for as long as it likes)
            waits = self._deadline is None and self._stops
            self._deadline = None if waits else time.monotonic() + self._limit + _GRACE
        elif word in OUTPUT:
            # (a test has its time from its beginning; what it has printed may come after its end)
            if self._deadline is not None:
                self._deadline = max(self._deadline, time.monotonic() + _GRACE)
        elif self._deadline is not None or word == "left":
            self._deadline = time.monotonic() + self._limits.get(word, self._limit) + _GRACE
        if word in ("shell", "left"):
            self._raw = word == "shell" and self._shell

    def _over(self) -> bool:
        return self._deadline == 0
