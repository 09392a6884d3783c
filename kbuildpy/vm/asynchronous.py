# SPDX-License-Identifier: GPL-2.0-only
"""Messages of a kernel that have nothing to do with the modules that are being loaded.

It comes when a timer fires, so it can stand between any two lines, in one boot of a thousand.
"""

from __future__ import annotations

import re

# (of workqueues there is more that is worth a line in the log, and about a module)
_ASYNCHRONOUS = re.compile(
    r"CE: \S+ increased min_delta_ns |clocksource: |hrtimer: |input: |perf: interrupt took too long|psmouse |random: "
    r"|sched_clock: |TSC found unstable after boot|tsc: |workqueue: .* hogged CPU "
)


def is_asynchronous(line: str) -> bool:
    """Whether the kernel would have logged `line`, which is without its time stamp, with no module to load, too."""
    return _ASYNCHRONOUS.match(line) is not None
