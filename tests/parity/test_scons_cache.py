# SPDX-License-Identifier: GPL-2.0-only
"""A shared cache of built files (`CacheDir`): a second clone takes from it what is right, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.cache_servers import cache_server
from tests.support.edits import edit
from tests.support.scons_project import ALONE, HEAD, HEADER, PAIR, SConsProject, new_project

pytestmark = pytest.mark.parity


def with_cache(project: SConsProject) -> SConsProject:
    """Let the project use a shared cache beside it."""
    project.edit("SConstruct", "env = E", f"CacheDir({str(project.place.parent / 'cache')!r})\nenv = E")
    return project


def clone_again(project: SConsProject) -> None:
    """A second clone of the sources, at the same path: nothing is left but the shared cache."""
    aside = project.place.with_name("first")
    shutil.rmtree(aside, ignore_errors=True)
    project.place.rename(aside)
    shutil.copytree(aside, project.place, ignore=shutil.ignore_patterns("build", ".sconsign.dblite"))
    # A clone's files are as old as the clone.
    for path in project.place.rglob("*"):
        os.utime(path)


def test_a_second_clone_gets_everything_from_the_shared_cache(tmp_path: Path) -> None:
    project = with_cache(new_project(tmp_path, PAIR))
    project.build()
    first = project.outputs()
    clone_again(project)
    got = project.build()
    assert got.did == []
    assert "Retrieved" in got.output
    assert project.outputs() == first
    project.assert_nothing_to_do()
    project.edit("drv/pair_b.c", "return 2", "return 3")
    assert project.build().compiled == ["pair.mod.o", "pair_b.o"]
    project.assert_like_clean("--cache-disable")


def test_a_server_holds_the_modules_of_an_sconstruct_and_nothing_else_of_it(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with cache_server() as server:
        files = ALONE | {
            "SConstruct": f"{HEAD}env.CacheDir({server.address!r})\nenv.KernelModule('alone', ['alone.c'])\n"
            "env.Command('build/plain.txt', 'alone.c', 'echo plain > $TARGET')\n"
        }
        project = new_project(tmp_path, files)
        project.build()
        stored = dict(server.objects)
        first = project.outputs()
        clone_again(project)
        got = project.build()
        assert got.did == []
        assert "echo plain" in got.output
        assert project.outputs() == first
        assert server.objects == stored
        assert len(stored) == len({name for name in first if not name.endswith((".cmd", "order", ".txt"))})


def test_with_a_key_nothing_is_taken_that_has_no_signature(tmp_path: Path) -> None:
    """SCons copies what its own builders made into a directory, and whoever can write there can change it."""
    files = ALONE | {
        "SConstruct": f"{HEAD}env.CacheDir('cache')\nenv.KernelModule('alone', ['alone.c'])\n"
        "env.Command('build/plain.txt', 'alone.c', 'echo plain > $TARGET')\n"
    }
    project = new_project(tmp_path, files)
    run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "key"])
    (tmp_path / "key").chmod(0o600)
    project.build()
    cache = project.place / "cache"
    planted = [path for path in cache.rglob("*") if path.is_file() and path.read_bytes() == b"plain\n"]
    assert len(planted) == 1
    planted[0].write_text("changed\n")
    for key, text in ((None, "changed\n"), (tmp_path / "key", "plain\n")):
        clone_again(project)
        project.environ = {} if key is None else {"KBUILDPY_CACHE_KEY": str(key)}
        project.build()
        assert (project.place / "build/plain.txt").read_text() == text


def test_what_a_killed_build_took_is_removed(tmp_path: Path) -> None:
    project = with_cache(new_project(tmp_path, ALONE))
    project.build()
    first = project.outputs()
    out = project.output("alone.ko").parent
    left = out / ".alone.o.taken.0"
    left.write_text("half")
    (out / ".kbuildpy/unfinished").touch()
    project.build()
    assert not left.exists()
    assert project.outputs().keys() == first.keys()


def test_a_clone_with_other_headers_takes_nothing_stale_from_the_shared_cache(tmp_path: Path) -> None:
    files = ALONE | {
        "alone.c": ALONE["alone.c"]
        + '#define NAME "hidden.h"\n#include NAME\n#include "seen.h"\nint sum = SEEN + HIDDEN;\n',
        "hidden.h": "#define HIDDEN 1\n",
        "seen.h": "#define SEEN 1\n",
    }
    project = with_cache(new_project(tmp_path, files))
    project.build()
    for name, word in (("seen.h", "SEEN 1"), ("hidden.h", "HIDDEN 1")):
        clone_again(project)
        project.edit(name, word, word.replace("1", "2"))
        # No source mentions hidden.h by its name, so SCons does not know of it beforehand.
        assert "alone.o" in project.build().compiled
        project.assert_like_clean("--cache-disable")
        project.assert_nothing_to_do()


def test_a_clone_with_other_flags_takes_nothing_stale_from_the_shared_cache(tmp_path: Path) -> None:
    project = with_cache(new_project(tmp_path, ALONE))
    project.build()
    clone_again(project)
    assert project.build("KCFLAGS=-DOTHER").compiled == ["alone.mod.o", "alone.o"]
    project.assert_like_clean("--cache-disable", "KCFLAGS=-DOTHER")


def test_another_kernel_tree_takes_nothing_stale_from_the_shared_cache(private: SConsProject) -> None:
    with_cache(private).scons("-c")
    private.build()
    clone_again(private)
    assert private.build().did == []
    clone_again(private)
    edit(private.kdir.parent / "source/include" / HEADER, "#define _LINUX_CISCODE_H", "#define _LINUX_CISCODE_H\n\n")
    assert "pair_b.o" in private.build().compiled
    private.assert_like_clean("--cache-disable")
    private.assert_nothing_to_do()
