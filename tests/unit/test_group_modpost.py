# SPDX-License-Identifier: GPL-2.0-only
"""What is prepared for modpost while the first compiler runs."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.scons import call_modpost, group_modpost, post_build_check

# A build whose compiler fails at once: it ends while that is prepared.
_FAILED_BUILD = """
import time
from types import SimpleNamespace
from kbuildpy.scons import call_modpost, group_modpost

def prepare_call(project):
    time.sleep(0.3)
    print("modpost prepared", flush=True)

def check_is_wanted(project):
    print("check prepared", flush=True)
    return False

call_modpost.prepare_call, group_modpost.check_is_wanted = prepare_call, check_is_wanted
project = SimpleNamespace(headers=SimpleNamespace(load=dict))
group_modpost.prepare_modpost(SimpleNamespace(modules=["a"], is_prepared=False, project=project))
raise SystemExit(2)
"""


@pytest.mark.parametrize("error", [KbuildError("no compiler"), FileNotFoundError(2, "No such file", "probe.d")])
def test_what_is_prepared_fails_nothing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def project_kernel(project: Any) -> None:
        asked.append(project)
        raise error

    monkeypatch.setattr(post_build_check, "project_kernel", project_kernel)
    monkeypatch.setattr(call_modpost, "prepare_call", lambda project: None)
    monkeypatch.setattr(group_modpost, "check_is_wanted", lambda project: True)
    project: Any = SimpleNamespace(headers=SimpleNamespace(load=dict), tree=SimpleNamespace(symvers=None))
    group_modpost._prepare(project)
    assert asked == [project]


def test_a_build_that_failed_ends_when_nothing_runs_any_more() -> None:
    """A thread that imports while the interpreter ends crashes the process; and no new work is begun."""
    done = subprocess.run([sys.executable, "-c", _FAILED_BUILD], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (2, "modpost prepared\n", "")
