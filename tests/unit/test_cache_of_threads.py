# SPDX-License-Identifier: GPL-2.0-only
"""Threads ask for the cache of a construction environment: SCons' default environment is not made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import SCons.Defaults
import SCons.Environment

from kbuildpy.scons.cache import cache_class, find_cache_in_any_thread


def _environment() -> Any:
    env = SCons.Environment.Environment(tools=[])
    env["CACHEDIR_CLASS"] = cache_class(env.validate_CacheDir_class())
    find_cache_in_any_thread(env)
    return env


def test_no_default_environment_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SCons.Defaults, "_default_env", None)
    monkeypatch.setattr(SCons.Defaults, "DefaultEnvironment", lambda: pytest.fail("the default environment is made"))
    assert not _environment().get_CacheDir().is_enabled()


def test_the_caches_that_users_chose_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    default = SCons.Environment.Environment(tools=[])
    default.CacheDir(str(tmp_path / "all"))
    monkeypatch.setattr(SCons.Defaults, "_default_env", default)
    monkeypatch.setattr(SCons.Defaults, "DefaultEnvironment", lambda: default)
    env = _environment()
    assert env.get_CacheDir().path == str(tmp_path / "all")
    env.CacheDir(str(tmp_path / "own"))
    assert env.get_CacheDir().path == str(tmp_path / "own")
