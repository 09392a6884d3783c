# SPDX-License-Identifier: GPL-2.0-only
"""Every template on arm64: in the sweep, for it takes its time."""

from __future__ import annotations

import pytest

from tests.vm.templates.claims import (
    built,
    oracle,
    ran,
    test_builds_without_a_warning,
    test_passes_its_own_test_in_the_kernel,
    test_plain_make_makes_the_same_bytes,
)

LINE = "arm64"
pytestmark = [pytest.mark.parity, pytest.mark.vm, pytest.mark.sweep]
__all__ = [
    "built",
    "oracle",
    "ran",
    "test_builds_without_a_warning",
    "test_passes_its_own_test_in_the_kernel",
    "test_plain_make_makes_the_same_bytes",
]
