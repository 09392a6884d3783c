# SPDX-License-Identifier: GPL-2.0-only
"""Lines that a kernel logs at any time, whatever a module does."""

from __future__ import annotations

import pytest

from kbuildpy.vm.asynchronous import is_asynchronous


@pytest.mark.parametrize(
    "line",
    [
        "CE: hpet increased min_delta_ns to 5000 nsec",  # kernel/time/clockevents.c
        "hrtimer: interrupt took 11250 ns",  # kernel/time/hrtimer.c
        "TSC found unstable after boot, most likely due to broken BIOS. Use 'tsc=unstable'.",  # arch/x86/kernel/tsc.c
    ],
)
def test_a_clock_of_a_busy_host_is_no_matter_of_a_module(line: str) -> None:
    assert is_asynchronous(line)
    assert not is_asynchronous(f"hello: {line}")
