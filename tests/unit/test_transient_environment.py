# SPDX-License-Identifier: GPL-2.0-only
"""Variables of batch systems: answers depend on them only where a file or another variable mentions one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kbuildpy.kbuild.cached import cached
from kbuildpy.kbuild.make_environment import environment_key
from kbuildpy.kbuild.stamps import Stamp, stamps
from kbuildpy.kbuild.transient_environment import is_transient, mentions_transient


@pytest.mark.parametrize(
    "name",
    [
        "SLURM_JOB_ID",
        "__DASK_PARENT_PID",
        "GITHUB_RUN_ID",
        "CI_JOB_ID",
        "BUILD_NUMBER",
        "BUILD_ID",
        "TMPDIR",
        "HOSTNAME",
    ],
)
def test_a_variable_of_a_job_is_no_part_of_a_key(name: str) -> None:
    assert is_transient(name)
    assert environment_key({"PATH": "/bin", name: "1"}) == environment_key({"PATH": "/bin", name: "2"})


@pytest.mark.parametrize(
    "name", ["KBUILD_BUILD_ID", "BUILD", "CI", "CC", "KCFLAGS", "MY_TMPDIR", "BUILD_IDS", "CFLAGS_CI_"]
)
def test_other_variables_are(name: str) -> None:
    assert not is_transient(name)
    assert environment_key({name: "1"}) != environment_key({name: "2"})


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        (b"ccflags-y := -DRUN=$(GITHUB_RUN_ID)\n", True),
        (b"ccflags-y := -DRUN=$(GITHUB_$(what))\n", True),
        (b"ifdef BUILD_NUMBER\n", True),
        (b"$(foreach name,$(.VARIABLES),$(info $(name)))\n", True),
        (b"export KBUILD_BUILD_NUMBER BUILD_NUMBERS MY_CI_JOB\n", False),
        (b"\x7fELF\0GITHUB_RUN_ID", False),
    ],
)
def test_a_file_mentions_one(text: bytes, mentions: bool, tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_bytes(text)
    assert mentions_transient([str(tmp_path / "gone"), str(tmp_path / "Kbuild")], {}) == mentions


@pytest.mark.parametrize(
    ("variables", "mentions"),
    [
        ({"KCFLAGS": "-DRUN=$(CI_JOB_ID)"}, True),
        ({"PATH": "/builds/CI_JOB_ID"}, False),
        ({"GITHUB_PATH": "$(GITHUB_ENV)"}, False),
    ],
    ids=["by another variable", "no reference", "by one that nothing mentions"],
)
def test_the_value_of_a_variable_mentions_one(variables: dict[str, str], mentions: bool) -> None:
    assert mentions_transient([], variables) == mentions


@pytest.mark.parametrize(("text", "asked"), [("obj-m := a.o", 1), ("obj-m := a$(CI_JOB_ID).o", 3)])
def test_an_answer_is_kept_for_the_next_job_unless_a_file_mentions_it(text: str, asked: int, tmp_path: Path) -> None:
    file = tmp_path / "Kbuild"
    file.write_text(text)
    questions: list[str] = []

    def answer_in(job: str) -> str:
        def ask() -> tuple[str, dict[str, Stamp]]:
            questions.append(job)
            return text.replace("$(CI_JOB_ID)", job), stamps([file])

        return cached(tmp_path / "answer", ask, read=str, variables={"CI_JOB_ID": job})

    time.sleep(0.05)  # (what was written just now may change unseen: its answer is not kept)
    for job in ("1", "1", "2", "1"):
        assert answer_in(job) == text.replace("$(CI_JOB_ID)", job)
    assert len(questions) == asked
