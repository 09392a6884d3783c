"""Overlays that processes enter: what is left of one when something fails."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild import evaluation
from kbuildpy.kbuild.overlay import Overlay


def test_an_overlay_is_left_where_asking_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Overlay] = []
    asked: list[Overlay] = []

    def ask_directory(*_: Any, overlay: Overlay, **__: Any) -> None:
        asked.append(overlay)
        raise KbuildError("make fails")

    monkeypatch.setattr(evaluation, "ask_directory", ask_directory)
    monkeypatch.setattr(evaluation, "leave", left.append)
    answer: Any = SimpleNamespace(working_directory=str)
    with pytest.raises(KbuildError, match="make fails"):
        evaluation.look_at(answer, tmp_path, tmp_path / "out", environ={})
    assert left == asked and len(left) == 1
