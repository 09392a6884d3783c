# SPDX-License-Identifier: GPL-2.0-only
"""Every template on the newest line of kernels."""

from __future__ import annotations

import pytest

from tests.support.guest_kernels import NEWEST
from tests.vm.templates.claims import (
    built,
    oracle,
    ran,
    test_builds_without_a_warning,
    test_its_test_fails_when_the_module_is_broken,
    test_passes_its_own_test_in_the_kernel,
    test_plain_make_makes_the_same_bytes,
)

LINE = NEWEST
pytestmark = [pytest.mark.parity, pytest.mark.vm, pytest.mark.sweep]
__all__ = [
    "built",
    "oracle",
    "ran",
    "test_builds_without_a_warning",
    "test_its_test_fails_when_the_module_is_broken",
    "test_passes_its_own_test_in_the_kernel",
    "test_plain_make_makes_the_same_bytes",
]
