# SPDX-License-Identifier: GPL-2.0-only
"""Where `env.RunModule()` leaves its reports: beside the modules."""

from __future__ import annotations

from pathlib import Path


def report_of(module: Path) -> Path:
    """The report of a module that nothing was wrong with."""
    return module.with_suffix(".run.log")


def failed_report_of(module: Path) -> Path:
    """The report of one that something was wrong with."""
    return module.with_suffix(".run-failed.log")


def coverage_place(module: Path) -> Path:
    """The folder with the files about coverage of instrumented modules that run together, of which this is the first
    one."""
    return module.with_suffix(".coverage")
