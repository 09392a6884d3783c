# SPDX-License-Identifier: GPL-2.0-only
"""What `which` says of the modules that distributions ship is what kmod and `kbuildpy check` say."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from kbuildpy.errors import CommandError
from kbuildpy.kernel.depmod_indexes import aliases, built_in_modules
from kbuildpy.kernel.modprobe_config import ModprobeConfig, parse_modprobe_file
from kbuildpy.kernel.module_files import module_name, walk_modules
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.run import run
from kbuildpy.which.kmod import Kmod
from kbuildpy.which.place import releases_of
from kbuildpy.which.probe import probe
from tests.support.command_line import call
from tests.support.kernel_trees import trees
from tests.support.shipped_modules import modules_of_package

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("modprobe") is None, reason="kmod is not installed"),
]

RELEASES = releases_of(Rooted())
INSTALLED = [release for release in RELEASES if release in {tree.release for tree in trees()}]


def kmod_of(system: Rooted, release: str) -> Kmod:
    """What modprobe knows of a kernel where modprobe.d says nothing."""
    directory = f"/lib/modules/{release}"
    text = system.text(f"{directory}/modules.softdep") or ""
    return Kmod(system, directory, ModprobeConfig(tuple(parse_modprobe_file(text, "modules.softdep"))))


def ours(kmod: Kmod, name: str, root: str) -> list[str] | None:
    targets = kmod.look_up(name)
    lines = [step.as_modprobe(root) for target in targets for step in probe(kmod, target).steps]
    return [line for line in lines if line] if targets else None


def of_modprobe(name: str, release: str, root: Path, empty: Path) -> list[str] | None:
    try:
        said = run(["modprobe", "-q", "-d", root, "-C", empty, "-S", release, "--show-depends", name]).text
    except CommandError:
        return None
    return said.splitlines()


def assert_same(names: Iterable[str], release: str, root: Path, empty: Path) -> int:
    """Compare what modprobe does for names; how many of them have dependencies."""
    kmod = kmod_of(Rooted(root), release)
    prefix = "" if root == Path("/") else str(root)
    several = 0
    for name in names:
        expected = of_modprobe(name, release, root, empty)
        found = ours(kmod, name, prefix)
        # (from / modprobe makes //lib)
        assert found == (expected and [line.replace(" //", " /") for line in expected]), name
        several += len(found or ()) > 1
    return several


def names_of(directory: Path) -> list[str]:
    return sorted({module_name(path) for path in walk_modules(directory / "kernel")})


def asked_of(directory: Path, seed: int, count: int) -> list[str]:
    """Names, what is built in, aliases as devices have them."""
    draw = random.Random(seed)
    patterns = sorted({alias.pattern for alias in aliases(directory)})
    return [
        *draw.sample(names_of(directory), count),
        *draw.sample(sorted(built_in_modules(directory)), count // 3),
        *(pattern.replace("*", "0") for pattern in draw.sample(patterns, count)),
        *("no-such", "fs-ext4", "net-pf-10", "symbol:usb_submit_urb", "crypto-sha256", "pci:*"),
    ]


@pytest.mark.skipif(not RELEASES, reason="no kernel with modules is installed")
def test_names_of_a_distributions_modules_are_taken_as_by_modprobe(tmp_path: Path) -> None:
    release = RELEASES[-1]
    asked = asked_of(Path("/lib/modules", release), 4, 30)
    assert assert_same(asked, release, Path("/"), tmp_path) > 15


@pytest.mark.sweep
@pytest.mark.parametrize("line", ["6.1", "6.12"])
def test_all_names_of_a_distributions_modules_are_taken_as_by_modprobe(line: str, tmp_path: Path) -> None:
    tree = next((tree for tree in trees() if tree.release.startswith(f"{line}.")), None)
    if tree is None:
        pytest.skip(f"no headers of {line}")
    release = tree.release
    root = tmp_path / "root"
    modules = root / "lib/modules" / release
    modules.parent.mkdir(parents=True)
    shutil.copytree(
        modules_of_package(release).parent,
        modules,
        copy_function=link,
        ignore=shutil.ignore_patterns("build", "source", "*.bin"),
    )
    run(["/sbin/depmod", "-b", root, release])
    (tmp_path / "empty").mkdir()
    names = names_of(modules)
    assert len(names) > 3500
    assert assert_same(names, release, root, tmp_path / "empty") > 2000
    assert assert_same(aliases_of(modules, 1000), release, root, tmp_path / "empty") > 300
    print(f"{release}: {len(names)} names, and aliases")


def link(source: str, target: str) -> None:
    """A second name of a file, or a copy of a list, which depmod writes again."""
    if Path(source).name.startswith("modules.") or Path(source).stat().st_dev != Path(target).parent.stat().st_dev:
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def aliases_of(modules: Path, count: int) -> list[str]:
    draw = random.Random(6)
    patterns = sorted({alias.pattern for alias in aliases(modules)})
    return [pattern.replace("*", draw.choice("0aZ")) for pattern in draw.sample(patterns, count)]


@pytest.mark.skipif(not INSTALLED, reason="no kernel with headers and modules is installed")
def test_a_module_is_loaded_that_check_accepts_and_no_other(tmp_path: Path) -> None:
    release = INSTALLED[-1]
    draw = random.Random(11)
    names = draw.sample(names_of(Path("/lib/modules", release)), 2)
    said = call("which", "-k", release, "--format", "json", *names, cwd=tmp_path)
    found = {each["name"]: each for each in map(json.loads, said.text.splitlines())}
    assert found.keys() == set(names)
    for name in names:
        answer = found[name]
        files = [step["file"] for step in answer["order"] if step["required"]]
        checked = call("check", "-k", release, "--format", "json", *files, cwd=tmp_path)
        verdicts = [json.loads(line) for line in checked.text.splitlines()]
        assert [each["accepted"] for each in answer["verdicts"]] == [each["accepted"] for each in verdicts]
        assert answer["loads"] is all(each["accepted"] for each in verdicts), name
        assert answer["signature"]["state"] == "trusted", name
        assert "built" in answer["signature"]["anchor"] or "vmlinuz" in answer["signature"]["anchor"]
