# SPDX-License-Identifier: GPL-2.0-only
"""`CC="ccache gcc"` and its kin: the bytes that make has with the same CC, and the second build from their cache."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kbuildpy.run import run
from tests.support.builds import assert_equal, build_both, kbuildpy
from tests.support.free_port import free_port, wait_for_port
from tests.support.kernel_trees import usual_tree

pytestmark = [pytest.mark.parity, pytest.mark.sweep]

ONE = {
    "Kbuild": "obj-m := one.o\n",
    "one.c": '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nint one(int x);\nint one(int x) { return x + 1; }\n',
}


def write_sources(place: Path) -> None:
    """One module."""
    for name, text in ONE.items():
        (place / name).write_text(text)


def program(name: str) -> str:
    """A wrapper that must be installed."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name} (apt-get install {name})")
    return name


def compiler() -> str:
    """The compiler of the usual kernel."""
    version = usual_tree().config["CONFIG_CC_VERSION_TEXT"].strip('"').split()[0]
    return version if shutil.which(version) else "gcc"


@contextmanager
def distcc_daemon(place: Path) -> Iterator[str]:
    """A distccd of this machine, for DISTCC_HOSTS; its log in `place` stays empty where it runs as another user."""
    port = free_port()
    words = ["distccd", "--daemon", "--no-detach", "--allow", "127.0.0.1", "--listen", "127.0.0.1"]
    process = subprocess.Popen(
        [*words, "--port", str(port), "--log-file", str(place / "distccd.log")], stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port, process)
        yield f"127.0.0.1:{port}/2"
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("name", ["ccache", "sccache"])
def test_a_compiler_with_a_cache_has_makes_bytes_and_compiles_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = str(free_port())
    for variable, value in {
        "CCACHE_DIR": str(tmp_path / "cache"),
        "SCCACHE_DIR": str(tmp_path / "cache"),
        "SCCACHE_SERVER_PORT": port,
    }.items():
        monkeypatch.setenv(variable, value)
    cc = f"CC={program(name)} {compiler()}"
    try:
        [(oracle, ours)] = build_both(usual_tree(), write_sources, tmp_path / "m", steps=[("", (cc,))])
        assert_equal(oracle, ours)
        without = dict(ours.files)
        before = hits(name)
        shutil.rmtree(tmp_path / "m/build")
        done = kbuildpy("build", tmp_path / "m", "-k", str(usual_tree().objects), cc)
        assert done.returncode == 0, done.error_text
        assert hits(name) > before
        found = tmp_path / "m/build" / usual_tree().release / "one.ko"
        assert found.read_bytes() == without["one.ko"]
    finally:
        if name == "sccache":
            run(["sccache", "--stop-server"], check=False)


def hits(name: str) -> int:
    """How often it had what was asked for."""
    words = ["ccache", "--print-stats"] if name == "ccache" else ["sccache", "--show-stats"]
    text = run(words).text
    pattern = r"^(?:direct|preprocessed)_cache_hit\s+(\d+)" if name == "ccache" else r"^Cache hits\s+(\d+)"
    return sum(map(int, re.findall(pattern, text, re.MULTILINE)))


def test_distcc_has_the_bytes_of_make_with_distcc_which_are_not_those_of_the_compiler_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("distcc")
    monkeypatch.setenv("DISTCC_FALLBACK", "0")
    (tmp_path / "distcc").mkdir()
    monkeypatch.setenv("DISTCC_DIR", str(tmp_path / "distcc"))
    with distcc_daemon(tmp_path) as hosts:
        monkeypatch.setenv("DISTCC_HOSTS", hosts)
        cc = f"CC=distcc {compiler()}"
        [(oracle, ours)] = build_both(usual_tree(), write_sources, tmp_path / "m", steps=[("", (cc,))])
    assert_equal(oracle, ours)
    [(_, alone)] = build_both(usual_tree(), write_sources, tmp_path / "m")
    # (it compiles preprocessed text: debug information has other columns)
    assert alone.files["one.ko"] != ours.files["one.ko"]
