# SPDX-License-Identifier: GPL-2.0-only
"""The samples, built against trees of configurations that no package has: make's bytes, and a verdict on each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.builds import Build, assert_equal, build_both, complaints, kbuildpy
from tests.support.clangd import clangd_errors
from tests.support.configurations import CONFIGURATIONS, Configuration, make_up_symvers, prepared_tree
from tests.support.packages import source_archive
from tests.support.samples import SAMPLES

pytestmark = [pytest.mark.parity, pytest.mark.sweep]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The kernel's sources of a line, unpacked once."""
    unpacked: dict[str, Path] = {}

    def find(line: str) -> Path:
        if line not in unpacked:
            unpacked[line] = tmp_path_factory.mktemp(f"linux-{line}")
            run(["tar", "-C", unpacked[line], "--strip-components=1", "-xf", source_archive(line)], timeout=900)
        return unpacked[line]

    return find


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda item: item.name)
def test_samples_are_makes_and_are_checked(
    configuration: Configuration, sources: Callable[[str], Path], tmp_path: Path
) -> None:
    tree = prepared_tree(configuration, sources(configuration.line), tmp_path / "tree")
    place = tmp_path / "samples"
    shutil.copytree(SAMPLES, place)
    make_up_symvers(tree, place, configuration.variables)
    # (the check after each link is part of the build, and a refusal fails it)
    [(oracle, ours)] = build_both(tree, SAMPLES, place, steps=[("", configuration.variables)])
    if configuration.names_files:
        oracle, ours = (_without_places(build, tmp_path / "stripped") for build in (oracle, ours))
    assert_equal(oracle, ours)
    assert complaints(oracle) == complaints(ours)
    assert ours.output.count("  LOADCHK ") == len(ours.names(".ko")) > 5
    # (an editor's clangd is another version than the compiler, or another compiler)
    done = kbuildpy("build", place, "-k", tree.objects, *configuration.variables, "--compile-commands")
    assert done.returncode == 0, done.error_text
    sources_read = [Path(entry["file"]) for entry in json.loads((place / "compile_commands.json").read_text())]
    assert len(sources_read) > 5
    assert {path.name: errors for path in sources_read if (errors := clangd_errors(path))} == {}


def _without_places(build: Build, scratch: Path) -> Build:
    """Without debug information and the build-id, which depends on it."""
    files = dict(build.files)
    for name in build.names(".ko"):
        scratch.write_bytes(files[name])
        run(["objcopy", "-g", "-R", ".note.gnu.build-id", scratch])
        files[name] = scratch.read_bytes()
    return Build(build.status, build.output, files)
