# SPDX-License-Identifier: GPL-2.0-only
"""What is prepared for modpost while the first compiler runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.scons import call_modpost, group_modpost, post_build_check


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
