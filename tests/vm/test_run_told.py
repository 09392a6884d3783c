# SPDX-License-Identifier: GPL-2.0-only
"""What `kbuildpy run` makes of modules that are sound and look as if they were not, or the other way round."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.bad_modules import SOURCES, build
from tests.support.guest_kernels import boots_x86_64, one_of, tree_called
from tests.support.guest_runs import Ran, kbuildpy_run
from tests.vm.referee.draft import Draft

pytestmark = [
    pytest.mark.vm,
    boots_x86_64,
]
NAMES = ("large_percpu", "live_patch", "warns", "asks_too_much", "asks_as_well", "mistyped", "good")


@pytest.fixture(scope="module", params=one_of("6.12", "6.1"))
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    sources = {name: SOURCES[name] for name in (*NAMES, "floods", "floods_for_ever")}
    built = build(tree_called(request.param), tmp_path_factory.mktemp("told") / "modules", sources, "CHECK=0")
    draft = Draft(built["mistyped"].read_bytes())
    if ".BTF" in map(draft.name_of, draft.sections):
        draft.rename(".BTF", ".noBTF")
    draft.add(".BTF", bytes(64))
    built["mistyped"].write_bytes(draft.file())
    return built


def ran(*words: str | Path) -> Ran:
    done = kbuildpy_run(*words, "--format", "json")
    return Ran({item["name"]: item for item in map(json.loads, done.text.splitlines())}, done)


@pytest.fixture(scope="module")
def found(files: dict[str, Path]) -> Ran:
    return ran(*(files[name] for name in NAMES))


def test_per_cpu_variables_without_room_are_refused_before_init_runs(found: Ran) -> None:
    assert found.results["large_percpu"]["errno"] == "ENOMEM"
    assert found.kinds("large_percpu") == ["refused"]
    assert "large_percpu: Could not allocate 20000 bytes percpu data" in found.results["large_percpu"]["reason"]


def test_a_live_patch_is_switched_off_before_its_module_is_removed(found: Ran) -> None:
    result = found.results["live_patch"]
    assert result["passed"], result["reason"]
    assert any("'live_patch': unpatching complete" in line for line in result["log"])


def test_a_warning_is_told_with_the_kernels_own_sentence(found: Ran) -> None:
    assert found.results["warns"]["reason"].startswith("the kernel warned: something is odd (WARNING: CPU: ")


def test_what_the_kernel_warns_of_once_it_warns_of_for_each_module(found: Ran) -> None:
    for name in ("asks_too_much", "asks_as_well"):
        assert found.kinds(name) == ["warning"]
        assert "mm/page_alloc.c" in found.results[name]["reason"]
    assert "booting again" not in found.done.error_text


def test_what_the_loader_says_of_a_module_that_it_takes_is_a_remark(found: Ran) -> None:
    result = found.results["mistyped"]
    assert result["passed"], result["reason"]
    remark = result["remarks"][-1]
    assert remark.startswith(("Kernel module BTF mismatch detected", "failed to validate module [mistyped] BTF: -22"))
    assert not found.results["live_patch"]["remarks"]


@pytest.mark.sweep
def test_a_flood_in_the_log_costs_nobody_the_result(files: dict[str, Path]) -> None:
    flooded = ran(files["good"], files["floods"])
    if "printk messages dropped **" not in flooded.done.error_text:
        pytest.skip("the console kept up with the flood here")
    assert {name: result["passed"] for name, result in flooded.results.items()} == {"good": True, "floods": True}


@pytest.mark.sweep
def test_a_flood_that_does_not_end_is_the_result(files: dict[str, Path]) -> None:
    flooded = ran(files["good"], files["floods_for_ever"])
    assert flooded.results["good"]["passed"]
    assert flooded.kinds("floods_for_ever") == ["flood"]
    assert "error: " not in flooded.done.error_text
