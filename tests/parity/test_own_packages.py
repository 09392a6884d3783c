# SPDX-License-Identifier: GPL-2.0-only
"""The project's own packages: each way to install them, in an environment that has nothing of the checkout."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from kbuildpy import __version__
from kbuildpy.errors import CommandError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from release.artifacts import build
from release.checks import check
from tests.support.debian_roots import debian_root, in_debian
from tests.support.documents import ROOT
from tests.support.kernel_trees import tree_of
from tests.support.keys import write_pair
from tests.support.packages import unpacked

pytestmark = [pytest.mark.parity, pytest.mark.sweep]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The packages of HEAD, by the ends of their names."""
    if not shutil.which("dpkg-source"):
        pytest.skip("dpkg-source is Debian's (dpkg-dev)")
    made = build(ROOT, "HEAD", tmp_path_factory.mktemp("dist"), debian=True)
    print(*check(made, ROOT, "HEAD"), sep="\n")
    ends = {".whl": "wheel", ".dsc": "dsc", ".debian.tar.xz": "debian", ".orig.tar.gz": "orig", ".tar.gz": "sdist"}
    found = {next(name for end, name in ends.items() if path.name.endswith(end)): path for path in made}
    assert found.keys() == set(ends.values())
    return found


@pytest.fixture(scope="module")
def tree() -> KernelTree:
    return tree_of("6.1")


# --- Wheel and sdist


def plain(**variables: str | Path) -> dict[str, str]:
    """An environment in which nothing leads to the checkout or its virtual environment."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    path = ":".join(part for part in os.environ["PATH"].split(":") if ".venv" not in part)
    return {**inherited, "PATH": path, **{name: str(value) for name, value in variables.items()}}


def use(kbuildpy: Path, scons: Path, environment: Mapping[str, str], tree: KernelTree, place: Path) -> None:
    """Build, check, sign and verify with installed programs: a new project, and v4l2loopback, which make builds too."""

    def call(*words: str | Path, cwd: Path = place) -> str:
        return run(words, cwd=cwd, env=environment).text

    place.mkdir()
    assert call(kbuildpy, "--version").split()[-1] == __version__
    call(kbuildpy, "new", "hello", "demo")
    call(scons, f"KDIR={tree.objects}", cwd=place / "demo")
    assert (place / f"demo/build/{tree.release}/demo.ko").exists()

    try:
        sources = next((unpacked("v4l2loopback-dkms") / "usr/src").iterdir())
    except CommandError:
        pytest.skip("v4l2loopback-dkms is no package of this Debian")
    real = place / "v4l2loopback"
    shutil.copytree(sources, real)
    (real / "dkms.conf").unlink()  # (by it, a copy elsewhere is built, and make is not)
    call(kbuildpy, "build", real, "-k", tree.objects, "-o", place / "out")
    module = place / "out" / tree.release / "v4l2loopback.ko"
    call(kbuildpy, "check", module, "-k", tree.objects)
    pair = write_pair(place, "rsa2048")
    signed, oracle = place / "signed.ko", place / "oracle.ko"
    shutil.copy(module, signed)
    call(kbuildpy, "sign", signed, "--key", pair, "--cert", pair, "--hash", "sha256")
    assert "signed" in call(kbuildpy, "verify", signed, "--cert", pair)

    run(["make", "-s", "-C", tree.objects, f"M={real}", "modules"], env=environment)
    shutil.copy(real / "v4l2loopback.ko", oracle)
    assert oracle.read_bytes() == module.read_bytes()
    run([tree.objects / "scripts/sign-file", "sha256", pair, pair, oracle])
    assert oracle.read_bytes() == signed.read_bytes()


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_pip_installs_into_an_empty_environment(
    kind: str, files: dict[str, Path], tree: KernelTree, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    run([sys.executable, "-m", "venv", venv])
    run([venv / "bin/pip", "install", "-q", "--disable-pip-version-check", files[kind]], env=plain())
    use(venv / "bin/kbuildpy", venv / "bin/scons", plain(), tree, tmp_path / "work")
    assert (venv / "share/man/man1/kbuildpy.1").is_file()
    assert (venv / "share/bash-completion/completions/kbuildpy").is_file()
    run([venv / "bin/pip", "uninstall", "-q", "-y", "kbuildpy"], env=plain())
    left = [path for path in venv.rglob("*kbuild*") if path.is_file()]
    assert left == []


def test_pipx_installs_the_wheel(files: dict[str, Path], tree: KernelTree, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    run([sys.executable, "-m", "venv", tools])
    run([tools / "bin/pip", "install", "-q", "--disable-pip-version-check", "pipx"], env=plain())
    places = {f"PIPX_{name}": tmp_path / "pipx" / name.lower() for name in ("HOME", "BIN_DIR", "MAN_DIR")}
    environment = plain(**places)
    run([tools / "bin/pipx", "install", "--include-deps", files["wheel"]], env=environment)
    programs = places["PIPX_BIN_DIR"]
    use(programs / "kbuildpy", programs / "scons", environment, tree, tmp_path / "work")
    assert (places["PIPX_MAN_DIR"] / "man1/kbuildpy.1").exists()
    run([tools / "bin/pipx", "uninstall", "kbuildpy"], env=environment)
    assert [*programs.iterdir()] == []


def test_uv_installs_the_wheel_as_a_tool_and_runs_it_once(
    files: dict[str, Path], tree: KernelTree, tmp_path: Path
) -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is not installed")
    places = {f"UV_{name}": tmp_path / "uv" / name.lower() for name in ("TOOL_DIR", "TOOL_BIN_DIR", "CACHE_DIR")}
    environment = plain(**places, UV_PYTHON=sys.executable)
    run([uv, "tool", "install", "-q", "--with-executables-from", "scons", files["wheel"]], env=environment)
    programs = places["UV_TOOL_BIN_DIR"]
    use(programs / "kbuildpy", programs / "scons", environment, tree, tmp_path / "work")
    run([uv, "tool", "uninstall", "-q", "kbuildpy"], env=environment)
    assert [*programs.iterdir()] == []
    once = run([uv, "tool", "run", "-q", "--from", files["wheel"], "kbuildpy", "--version"], env=environment)
    assert once.text.split()[-1] == __version__


# --- Debian

APT = """export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
options="-y -q -o Dpkg::Use-Pty=0 -o APT::Install-Recommends=false -o Dpkg::Options::=--force-confold"
apt() { apt-get $options "$@" >>/mnt/apt.log 2>&1; }
say() { echo "$1 $2"; }
apt update || exit 77
"""

BUILD = """set -e
apt build-dep /mnt/source/*.dsc
apt install lintian
mkdir /tmp/build; cd /tmp/build; dpkg-source -x /mnt/source/*.dsc source >/dev/null
cd source
dpkg-buildpackage -us -uc >/mnt/build.log 2>&1
cp ../*.deb /mnt/built/
# (its status counts what is overridden, on Debian 12)
lintian --allow-root --display-info --show-overrides ../*.changes >/mnt/lintian.log || true
"""

AUTOPKGTEST = """set -e
apt install autopkgtest apt-utils
cp -r /mnt/source /mnt/built /tmp/
cd /tmp
autopkgtest source/*.dsc built/*.deb --output-dir /tmp/out -- null >/mnt/autopkgtest.log 2>&1 || status=$?
cat /tmp/out/summary; exit ${status:-0}
"""

# (what is left, and what is lost, of all files but apt's and dpkg's records)
REMOVE = """set -e
listed() { find / -xdev \\( -path /proc -o -path /tmp -o -path /mnt -o -path /var/cache -o -path /var/lib/apt -o \
    -path /var/log -o -path /var/lib/dpkg -o -path /dev -o -path /sys \\) -prune -o -print | sort; }
apt install $(dpkg-deb -f /mnt/built/*.deb Depends |
    sed 's/([^)]*)//g; s/[^,]*|//g; s/:any//g; s/,//g')
listed >/tmp/before
apt install /mnt/built/*.deb
kbuildpy --version >/dev/null; kbuildpy new --list >/dev/null; scons --version >/dev/null
apt purge kbuildpy
listed >/tmp/after
say left "$(comm -13 /tmp/before /tmp/after | tr '\\n' ' ')"
say lost "$(comm -23 /tmp/before /tmp/after | tr '\\n' ' ')"
"""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def debian(
    request: pytest.FixtureRequest, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A Debian, and a directory with the source package and with the binary one that this Debian built."""
    root = debian_root(request.param, ("dpkg-dev",))
    shared = tmp_path_factory.mktemp(request.param)
    (shared / "built").mkdir()
    (shared / "source").mkdir()
    for name in ("dsc", "debian", "orig"):
        shutil.copy(files[name], shared / "source")
    status, text, error = in_debian(root, APT + BUILD, shared, timeout=1800)
    if status == 77:
        pytest.skip(f"no package lists: {(shared / 'apt.log').read_text()[-300:]}")
    logs = [shared / f"{name}.log" for name in ("apt", "build", "lintian")]
    tails = "\n".join(log.read_text()[-3000:] for log in logs if log.exists())
    assert status == 0, f"{text}{error}\n{tails}"
    print((shared / "lintian.log").read_text())
    return root, shared


def test_a_debian_package_is_built_and_lintian_has_nothing_to_say(debian: tuple[Path, Path]) -> None:
    _, shared = debian
    [deb] = (shared / "built").glob("kbuildpy_*.deb")
    names = {line.split()[-1] for line in run(["dpkg-deb", "-c", deb]).text.splitlines()}
    packages = "./usr/lib/python3/dist-packages"
    wanted = {
        "./usr/bin/kbuildpy",
        f"{packages}/kbuildpy/templates/modpost/mod.c.j2",
        f"{packages}/SCons/Tool/kbuild.py",
        "./usr/share/man/man1/kbuildpy.1.gz",
        "./usr/share/bash-completion/completions/kbuildpy",
        "./usr/share/zsh/vendor-completions/_kbuildpy",
        "./usr/share/fish/vendor_completions.d/kbuildpy.fish",
    }
    assert wanted - names == set()
    found = [line.split(": ") for line in (shared / "lintian.log").read_text().splitlines()]
    assert [words for words in found if words[0] in ("E", "W")] == []
    # What it is told to keep to itself, each with a reason in its file.
    assert {words[2].split()[0] for words in found if words[0] == "O"} == {
        "initial-upload-closes-no-bugs",
        "package-contains-python-dot-directory",
        "script-not-executable",
    }


def test_the_tests_of_the_debian_package_pass(debian: tuple[Path, Path]) -> None:
    root, shared = debian
    status, text, error = in_debian(root, APT + AUTOPKGTEST, shared, timeout=1800)
    log = shared / "autopkgtest.log"
    assert status == 0, f"{text}{error}{log.read_text()[-3000:] if log.exists() else ''}"
    assert {line.split()[0]: line.split()[1] for line in text.splitlines()} == {
        "scons": "PASS",
        "build-check-sign": "PASS",
    }


def test_nothing_is_left_of_the_debian_package(debian: tuple[Path, Path]) -> None:
    root, shared = debian
    status, text, error = in_debian(root, APT + REMOVE, shared, timeout=900)
    assert status == 0, f"{text}{error}{(shared / 'apt.log').read_text()[-2000:]}"
    assert text.split() == ["left", "lost"]
