"""What a kernel says of itself while modules are loaded: that has nothing to do with them."""

from __future__ import annotations

ASYNCHRONOUS = ("clocksource: ", "tsc: ", "random: ", "input: ", "sched_clock: ", "psmouse ", "hrtimer: ")
"""How such lines begin."""
