# SPDX-License-Identifier: GPL-2.0-only
"""SCons' own options, as far as they decide about modules."""

from __future__ import annotations

import os
from typing import Any


def is_help_wanted(env: Any) -> bool:
    """Whether this is `scons -h`."""
    option = getattr(env, "GetOption", None)
    return option is not None and bool(option("help"))


def is_cleaning(env: Any) -> bool:
    """Whether this run removes built files (`-c`)."""
    return bool(env.GetOption("clean"))


def is_dry_run(env: Any) -> bool:
    """Whether nothing may be written (`-n`)."""
    return bool(env.GetOption("no_exec"))


def is_silent(env: Any) -> bool:
    """Whether targets are not announced (`-s`)."""
    return bool(env.GetOption("silent"))


def job_count(env: Any) -> int:
    """How many jobs make may run for a Kbuild file's own rules (`-j`)."""
    return max(int(env.GetOption("num_jobs")), 1) if env.GetOption("num_jobs") else os.cpu_count() or 1
