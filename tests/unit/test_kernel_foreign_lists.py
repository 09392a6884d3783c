# SPDX-License-Identifier: GPL-2.0-only
"""Where the packages of a machine are looked for that this system's Debian is too old for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kernel import debian

ARCHIVE = "http://debian.example/debian"


def options(
    monkeypatch: pytest.MonkeyPatch, cache: Path, architecture: str, *targets: str
) -> tuple[list[str], dict[str, str]]:
    """apt's settings for `architecture` on a system whose apt knows `targets`, and the lists of sources that were
    written, by name."""

    def answer(argv: Sequence[str | Path], **_: object) -> Completed:
        words = [str(word) for word in argv]
        return Completed(0, "\n".join(targets).encode() if "indextargets" in words else b"", b"")

    monkeypatch.setenv("KBUILDPY_CACHE", str(cache))
    monkeypatch.setattr(debian, "run", answer)
    found = debian.apt_options(architecture)
    return found, {path.name: path.read_text() for path in (cache / "apt").rglob("sources.list")}


def test_an_older_system_takes_them_from_the_first_release_that_has_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    targets = (f"bookworm {ARCHIVE}", f"bookworm-updates {ARCHIVE}")
    found, written = options(monkeypatch, tmp_path, "riscv64", *targets)
    [line] = written.values()
    assert line.startswith("deb [") and line.endswith(f"arch=riscv64] {ARCHIVE} trixie main\n")
    assert f"Dir::Etc::SourceList={tmp_path}/apt/riscv64/sources.list" in found


@pytest.mark.parametrize(
    ("architecture", "targets"),
    [
        ("arm64", (f"bookworm {ARCHIVE}",)),
        ("riscv64", (f"trixie {ARCHIVE}",)),
        ("riscv64", (f"bookworm {ARCHIVE}", f"sid {ARCHIVE}")),
        ("riscv64", ()),
    ],
)
def test_all_others_take_them_from_their_own_sources(
    architecture: str, targets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, written = options(monkeypatch, tmp_path, architecture, *targets)
    assert not written and not any(word.startswith("Dir::Etc") for word in found)
