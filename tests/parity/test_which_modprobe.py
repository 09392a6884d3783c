# SPDX-License-Identifier: GPL-2.0-only
"""What `which` says of systems that are drawn at random is what modprobe and depmod do there."""

from __future__ import annotations

import gzip
import lzma
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kbuildpy.kernel.depmod_order import search_order
from kbuildpy.kernel.depmod_scan import NamedFiles, scan_modules
from kbuildpy.kernel.modprobe_config import ModprobeConfig, soft_dependencies
from kbuildpy.kernel.rooted import Rooted
from kbuildpy.which.kmod import Kmod, open_kmod
from kbuildpy.which.kmod_features import kmod_suffixes
from kbuildpy.which.place import KernelPlace
from kbuildpy.which.probe import probe
from tests.support.modprobe_roots import (
    ALIASES,
    BUILT_IN,
    DIRECTORY,
    NAMES,
    RELEASE,
    KmodPrograms,
    change_root,
    draw_root,
    kmod_programs,
    module,
    newer_kmod_programs,
    write,
)

pytestmark = pytest.mark.parity

ASKED = (*NAMES, *BUILT_IN, *ALIASES)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> KmodPrograms:
    """kmod of this machine, for a chroot."""
    return kmod_programs(tmp_path_factory.mktemp("kmod"))


def drawn(tmp_path: Path, seed: int, programs: KmodPrograms) -> Path:
    root = tmp_path / str(seed)
    draw_root(root, seed, programs)
    return root


def ours(kmod: Kmod, name: str) -> list[str] | None:
    """The lines of `modprobe --show-depends`, None for a name that it does not find."""
    targets = kmod.look_up(name)
    if not targets:
        return None
    lines = []
    for target in targets:
        found = probe(kmod, target)
        if found.blacklisted is None:
            lines += [line for step in found.steps if (line := step.as_modprobe())]
    return lines


def of_modprobe(programs: KmodPrograms, root: Path, name: str) -> list[str] | None:
    said = programs.call(root, "modprobe", "-q", "-S", RELEASE, "--show-depends", name)
    return None if said is None else said.splitlines()


def names_of_modprobe(programs: KmodPrograms, root: Path, name: str) -> list[str] | None:
    said = programs.call(root, "modprobe", "-q", "-S", RELEASE, "-R", name)
    return None if said is None else said.splitlines()


def config_lines(config: ModprobeConfig) -> list[str]:
    """The lines of `modprobe --show-config`."""
    found = []
    for kind in ("blacklist", "install", "remove", "alias", "options", "softdep"):
        for each in config.of_kind(kind):
            value = each.value
            if kind == "softdep":
                soft = soft_dependencies(value)
                words = [f"pre: {' '.join(soft.pre)}"] if soft.pre else []
                words += [f"post: {' '.join(soft.post)}"] if soft.post else []
                # (kmod has no space between the two)
                value = "".join(words)
            found.append(f"{kind} {each.key}" if kind == "blacklist" else f"{kind} {each.key} {value}")
    return found


def config_of_modprobe(programs: KmodPrograms, root: Path) -> list[str]:
    said = programs.call(root, "modprobe", "-S", RELEASE, "-c")
    assert said is not None
    lines = said.partition("\n# End of configuration files.")[0].splitlines()
    # (kmod 30 knows no weakdep, later ones show it last)
    return [line for line in lines if line and not line.startswith("weakdep ")]


def assert_as_kmod(root: Path, programs: KmodPrograms, names: Sequence[str]) -> int:
    """Compare names and their steps; how many names meant something."""
    kmod = open_kmod(Rooted(root), DIRECTORY)
    assert config_lines(kmod.config) == config_of_modprobe(programs, root)
    meant = 0
    for name in names:
        expected = of_modprobe(programs, root, name)
        assert ours(kmod, name) == expected, name
        meant += bool(expected)
    return meant


def assert_depmod_takes(root: Path, programs: KmodPrograms) -> int:
    """What depmod would write is what it writes; how many names had several files."""
    system = Rooted(root)
    order = search_order(RELEASE, system=system)
    said = scan_modules(system, DIRECTORY, order)
    assert programs.call(root, "depmod", RELEASE) is not None
    kmod = open_kmod(system, DIRECTORY)
    place = KernelPlace(system, RELEASE, DIRECTORY)
    several = 0
    for name, found in said.items():
        indexed = kmod.indexed(name)
        assert indexed is not None, name
        assert place.in_system(found.taken) == indexed.path, f"{found} with {order}"
        several += len(found.paths) > 1
        assert order.winner(found.paths) in (None, found.taken), f"{found} with {order}"
    others = [name for name in (item.replace("-", "_") for item in NAMES) if name not in said]
    assert not any(kmod.indexed(name) for name in others)
    return several


def check_seed(tmp_path: Path, seed: int, programs: KmodPrograms, asked: Sequence[str]) -> tuple[int, int]:
    root = drawn(tmp_path, seed, programs)
    several = assert_depmod_takes(root, programs)
    meant = assert_as_kmod(root, programs, asked)
    # Files that go and come: modprobe looks at its index, and depmod writes another one.
    change_root(root, seed)
    meant += assert_as_kmod(root, programs, asked[::3])
    several += assert_depmod_takes(root, programs)
    shutil.rmtree(root)
    return several, meant


def test_takes_names_and_files_as_modprobe_and_depmod_do(tmp_path: Path, programs: KmodPrograms) -> None:
    several = meant = 0
    for seed in range(6):
        counted = check_seed(tmp_path, seed, programs, ASKED[seed % 3 :: 3])
        several, meant = several + counted[0], meant + counted[1]
    assert several > 10 and meant > 30, (several, meant)


@pytest.mark.sweep
@pytest.mark.parametrize("kmod", [kmod_programs, newer_kmod_programs])
def test_takes_names_as_kmod_in_hundreds_of_systems(kmod: Callable[[Path], KmodPrograms], tmp_path: Path) -> None:
    programs = kmod(tmp_path / "programs")
    several = meant = 0
    for seed in range(1000, 1400):
        counted = check_seed(tmp_path, seed, programs, ASKED)
        several, meant = several + counted[0], meant + counted[1]
    print(f"400 systems: {several} modules in several files, {meant} names that meant something")
    assert several > 400 and meant > 4000


def test_settings_come_before_names_and_patterns_count_as_in_modprobe(tmp_path: Path, programs: KmodPrograms) -> None:
    root = drawn(tmp_path, 3, programs)
    assert programs.call(root, "depmod", RELEASE) is not None
    shutil.rmtree(root / "etc/modprobe.d", ignore_errors=True)
    [one, two, three, *_] = sorted(scan_modules(Rooted(root), DIRECTORY, search_order(RELEASE, system=Rooted(root))))
    write(
        root,
        "etc/modprobe.d/settings.conf",
        f"alias {one} {two}\nalias by_alias {two}\noptions by_alias a=1\noptions {two} b=2\n"
        f"install {three[:-1]}? /bin/true\n",
    )
    assert assert_as_kmod(root, programs, [one, two, three, "by-alias"]) == 4


def test_a_name_may_mean_several_modules(tmp_path: Path, programs: KmodPrograms) -> None:
    compared = 0
    for seed in range(50, 53):
        root = drawn(tmp_path, seed, programs)
        assert programs.call(root, "depmod", RELEASE) is not None
        kmod = open_kmod(Rooted(root), DIRECTORY)
        for name in ALIASES:
            expected = names_of_modprobe(programs, root, name)
            found = kmod.look_up(name)
            assert ([target.name for target in found] or None) == expected, name
            compared += len(found) > 1
    assert compared


def test_the_scan_tells_what_is_there(tmp_path: Path, programs: KmodPrograms) -> None:
    root = drawn(tmp_path, 7, programs)
    found: dict[str, NamedFiles] = scan_modules(Rooted(root), DIRECTORY, search_order(RELEASE, system=Rooted(root)))
    paths = {path for each in found.values() for path in each.paths}
    there = {
        str(path.relative_to(root / DIRECTORY.lstrip("/")))
        for path in (root / DIRECTORY.lstrip("/")).rglob("*.ko*")
        if path.exists()
    }
    assert {path for path in paths if not path.startswith("/")} <= there
    assert len(paths) >= len(found) > 3


def test_kmod_reads_the_compressed_modules_of_which_it_says_so(tmp_path: Path, programs: KmodPrograms) -> None:
    root = tmp_path / "root"
    programs.install(root)
    contents = module("packed")
    packed = {".gz": gzip.compress(contents), ".xz": lzma.compress(contents), ".zst": b"any"}
    for number, (suffix, data) in enumerate(packed.items()):
        write(root, f"{DIRECTORY}/kernel/m{number}.ko{suffix}", data)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        write(root, f"{DIRECTORY}/{name}", "")
    programs.call(root, "depmod", RELEASE)
    text = (root / f"{DIRECTORY}/modules.dep".lstrip("/")).read_text()
    found = {suffix for number, suffix in enumerate(packed) if f"m{number}.ko" in text}
    assert {f".ko{suffix}" for suffix in found} == set(kmod_suffixes()) - {".ko"}


def test_reads_any_command_line_and_any_file_as_modprobe_does(tmp_path: Path, programs: KmodPrograms) -> None:
    root = tmp_path / "root"
    programs.install(root)
    write(root, f"{DIRECTORY}/modules.softdep", "softdep ab pre: m1\n")
    draw = random.Random(8)
    words = ("modprobe.blacklist=", "ab.x=", "m-1.y", ".", "=", '"', " ", "  ", "\t", "-", ",", "a", "quiet", "[", "]")
    pieces = (
        *("alias ", "options ", "softdep ", "install ", "blacklist", "pre:", "post: ", "ab", "m-1 ", " ", "\t"),
        *("\n", "\n", "\\\n", "\\", "#", "[a-c]", "]", '"', "x=1 "),
    )
    compared = 0
    for _ in range(60):
        write(root, "proc/cmdline", "".join(draw.choice(words) for _ in range(draw.randint(1, 24))) + "\n")
        text = "".join(draw.choice(pieces) for _ in range(draw.randint(1, 40))).rstrip("\\")
        write(root, "etc/modprobe.d/m.conf", text)
        config = open_kmod(Rooted(root), DIRECTORY).config
        assert config_lines(config) == config_of_modprobe(programs, root)
        compared += len(config.directives) > 1
    assert compared > 30
