"""The test of every template fails when its module has a mistake: on Linux 6.12, in every run."""

from __future__ import annotations

import pytest

from tests.vm.templates.claims import built, ran, test_its_test_fails_when_the_module_is_broken

LINE = "6.12"
pytestmark = [pytest.mark.parity, pytest.mark.vm]
__all__ = ["built", "ran", "test_its_test_fails_when_the_module_is_broken"]
