# SPDX-License-Identifier: GPL-2.0-only
"""Options of the tests."""

from __future__ import annotations

import os
import secrets

import pytest

SEED = "1"

# (a helper that asserts says as much as a test: pytest does this by itself for tests only)
pytest.register_assert_rewrite("tests.support")

# The tests start a command some thousand times, and each would compile kbuildpy anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """(README.md tells what they are for)"""
    parser.addoption(
        "--referee-seed",
        default=SEED,
        metavar="N|random",
        help="which modules tests/vm/referee damages at random; `random` takes others every time, and tells the number",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Throw the dice once, so that all kernels get the same modules."""
    if config.option.referee_seed == "random":
        config.option.referee_seed = str(secrets.randbelow(1_000_000_000))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell the seed, also in a run that passes."""
    if config.option.referee_seed != SEED:
        terminalreporter.write_line(f"repeat these modules with --referee-seed={config.option.referee_seed}")
