# SPDX-License-Identifier: GPL-2.0-only
"""Which objects a changed kernel header or CONFIG_ symbol makes stale; the oracle is fixdep's rule: any of both that an
object read."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kbuildpy.kbuild import freshness
from kbuildpy.kbuild.cmd_file import CmdFile, cmd_file_of, format_cmd_file
from kbuildpy.kbuild.freshness import Freshness, HeaderSymbols, read_autoconf
from kbuildpy.kernel.cache import read_json
from kbuildpy.kernel.tree import KernelTree

_LONG_AGO = time.time() - 1000


@dataclass
class _Build:
    """A kernel tree, a module's directory, and an output with one object."""

    root: Path
    config: str = "#define CONFIG_NET 1\n#define CONFIG_USB_MODULE 1\n#define CONFIG_HZ 250\n"
    freshness: Freshness = field(init=False)

    def __post_init__(self) -> None:
        for name in ("linux/include/net.h", "linux/include/usb.h", "module/own.h", "module/hello.c"):
            self.write(name, f"/* {name} */\n")
        self.write("linux/include/generated/autoconf.h", self.config)
        self.out.mkdir()
        self.object.write_text("object")
        self.reopen()

    @property
    def tree(self) -> KernelTree:
        return KernelTree(self.root / "linux", self.root / "linux", "6.1.0")

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def object(self) -> Path:
        return self.out / "hello.o"

    @property
    def cmd_path(self) -> Path:
        return self.out / ".hello.o.cmd"

    def write(self, name: str, text: str, *, age: float = 1000) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        now = time.time()
        os.utime(path, (now - age, now - age))
        return path

    def reopen(self) -> Freshness:
        self.freshness = Freshness(
            self.out / "index.json",
            autoconf=self.root / "linux/include/generated/autoconf.h",
            cwd=str(self.root / "linux"),
            is_own=lambda path: path.startswith(f"{self.root}/module/"),
        )
        return self.freshness

    def compile(self, *headers: str, symbols: tuple[str, ...] = (), began_ns: int | None = None) -> None:
        """Make the object from hello.c and `headers`, which are names as the compiler gives them."""
        cmd_file = CmdFile(str(self.root / "module/hello.c"), headers, frozenset(symbols))
        self.cmd_path.write_text(format_cmd_file(cmd_file, target="hello.o", command="gcc -c"))
        began = time.time_ns() if began_ns is None else began_ns
        self.freshness.note(str(self.object), str(self.cmd_path), cmd_file, began_ns=began)

    def is_stale(self) -> bool:
        """The answer of a later run."""
        self.freshness.save()
        return self.reopen().is_stale(str(self.object), str(self.cmd_path))

    def why(self) -> str:
        return self.freshness.why_stale(str(self.object))


@pytest.fixture
def build(tmp_path: Path) -> _Build:
    return _Build(tmp_path)


def test_an_object_is_fresh_after_it_was_made(build: _Build) -> None:
    build.compile("include/net.h", symbols=("NET",))
    assert not build.is_stale()
    assert not build.is_stale(), "and in the run after that"


def test_a_changed_kernel_header_makes_stale_what_read_it_and_says_so(build: _Build) -> None:
    build.compile("include/net.h")
    header = build.write("linux/include/net.h", "/* changed */\n", age=10)
    assert build.is_stale()
    assert build.why() == f"{header} changed"


@pytest.mark.parametrize("change", ["touched", "longer", "removed"])
def test_each_change_of_a_header_counts(build: _Build, change: str) -> None:
    build.compile("include/net.h")
    header = build.root / "linux/include/net.h"
    before = header.stat()
    if change == "touched":
        os.utime(header, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    elif change == "longer":
        header.write_text("/* a longer text of the same time */\n")
        os.utime(header, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        header.unlink()
    assert build.is_stale()


def test_a_header_that_the_object_did_not_read_does_not_count(build: _Build) -> None:
    build.compile("include/net.h")
    build.write("linux/include/usb.h", "/* changed */\n", age=10)
    assert not build.is_stale()


def test_an_object_is_fresh_again_when_it_was_made_again(build: _Build) -> None:
    build.compile("include/net.h")
    build.write("linux/include/net.h", "/* changed */\n", age=10)
    assert build.is_stale()
    build.compile("include/net.h")
    assert not build.is_stale()


def test_the_modules_own_headers_are_left_to_scons(build: _Build) -> None:
    own = str(build.root / "module/own.h")
    build.compile(own, "include/net.h")
    build.write("module/own.h", "/* changed */\n", age=10)
    assert not build.is_stale()
    assert build.freshness.own_headers(str(build.object), str(build.cmd_path)) == [own]


def test_own_headers_come_from_the_cmd_file_where_the_index_is_lost(build: _Build) -> None:
    own = str(build.root / "module/own.h")
    build.compile(own, "include/net.h")
    build.reopen()  # (nothing was saved)
    assert build.freshness.own_headers(str(build.object), str(build.cmd_path)) == [own]
    assert build.freshness.own_headers("other.o", str(build.out / ".other.o.cmd")) is None


def test_own_headers_come_from_the_cmd_file_where_it_is_not_the_one_that_was_noted(build: _Build) -> None:
    build.compile(str(build.root / "module/own.h"))
    other = CmdFile("hello.c", (str(build.root / "module/other.h"), "include/net.h"), frozenset())
    build.cmd_path.write_text(format_cmd_file(other, target="hello.o", command="gcc -c -DOTHER"))
    found = build.freshness.own_headers(str(build.object), str(build.cmd_path))
    assert found == [str(build.root / "module/other.h")]


@pytest.mark.parametrize("own", [False, True], ids=["kernel header", "own header"])
def test_a_header_written_while_the_compiler_ran_is_looked_at_again(build: _Build, *, own: bool) -> None:
    name = "module/own.h" if own else "linux/include/net.h"
    header = build.write(name, "/* written too late */\n", age=5)
    build.compile(str(header), began_ns=time.time_ns() - 6 * 10**9)
    assert build.is_stale()


@pytest.mark.parametrize("name", ["module/own.h", "linux/include/net.h"])
def test_a_header_written_in_the_moment_in_which_the_compiler_started_is_looked_at_again(
    build: _Build, name: str
) -> None:
    """Nobody knows which came first."""
    header = build.write(name, "/* at the same time */\n", age=5)
    build.compile(str(header), began_ns=header.stat().st_mtime_ns)
    assert build.is_stale()


def test_a_header_written_before_the_compiler_started_is_not(build: _Build) -> None:
    header = build.write("linux/include/net.h", "/* in time */\n", age=7)
    build.compile(str(header), began_ns=time.time_ns() - 6 * 10**9)
    assert not build.is_stale()


@pytest.mark.parametrize(
    ("config", "changed"),
    [
        ("#define CONFIG_NET 1\n#define CONFIG_USB_MODULE 1\n#define CONFIG_HZ 1000\n", ""),
        ("#define CONFIG_USB_MODULE 1\n#define CONFIG_HZ 250\n", "CONFIG_NET"),
        ("#define CONFIG_NET 1\n#define CONFIG_USB 1\n#define CONFIG_HZ 250\n", "CONFIG_USB"),
        ("#define CONFIG_NET 1\n#define CONFIG_HZ 250\n#define CONFIG_USB_MODULE 1\n", ""),
    ],
    ids=["another symbol", "unset", "built in instead of a module", "another order"],
)
def test_a_changed_symbol_counts_for_objects_that_mention_it(build: _Build, config: str, changed: str) -> None:
    build.compile("include/net.h", symbols=("NET", "USB"))
    build.write("linux/include/generated/autoconf.h", config, age=10)
    assert build.is_stale() is bool(changed)
    if changed:
        assert build.why() == f"{changed} changed"
    assert build.is_stale() is bool(changed), "and it stays so until the object is made"
    build.compile("include/net.h", symbols=("NET", "USB"))
    assert not build.is_stale()


def test_a_configuration_that_changes_during_the_build_counts(build: _Build) -> None:
    build.compile(symbols=("NET",))
    build.write("linux/include/generated/autoconf.h", "#define CONFIG_HZ 250\n", age=10)
    build.freshness.save()
    assert build.reopen().is_stale(str(build.object), str(build.cmd_path))


def test_a_symbol_that_is_set_back_makes_nothing_stale(build: _Build) -> None:
    build.compile(symbols=("NET",))
    build.write("linux/include/generated/autoconf.h", "#define CONFIG_HZ 250\n", age=10)
    assert build.is_stale()
    build.write("linux/include/generated/autoconf.h", build.config, age=5)
    assert not build.is_stale()


@pytest.mark.parametrize(("letters", "more"), [("abc", ""), ("abcd", " and 1 more"), ("abcde", " and 2 more")])
def test_a_long_list_of_reasons_is_cut(build: _Build, letters: str, more: str) -> None:
    names = [f"linux/include/{letter}.h" for letter in letters]
    for name in names:
        build.write(name, "\n")
    build.compile(*(name.removeprefix("linux/") for name in names))
    for name in names:
        build.write(name, "/* changed */\n", age=10)
    assert build.is_stale()
    shown = ", ".join(str(build.root / name) for name in names[:3])
    assert build.why() == f"{shown}{more} changed"


def test_an_object_that_nobody_knows_is_stale(build: _Build) -> None:
    assert build.is_stale()
    assert build.why() == "its dependencies are not known"


def test_a_cmd_file_that_something_else_wrote_makes_stale(build: _Build) -> None:
    """The index does not tell about this object: its `.cmd` file is not the one that was noted."""
    build.compile("include/net.h")
    build.freshness.save()
    build.cmd_path.write_text("cmd_hello.o := gcc\n")
    assert build.is_stale()


def test_a_lost_index_is_made_up_from_the_cmd_file(build: _Build) -> None:
    time.sleep(0.02)  # (the clock of file times may stand still for 10 ms)
    build.compile("include/net.h", symbols=("NET",))
    build.reopen()  # (nothing was saved)
    assert not build.freshness.is_stale(str(build.object), str(build.cmd_path))
    build.write("linux/include/net.h", "/* changed */\n", age=10)
    assert build.is_stale(), "what was taken from the .cmd file counts from then on"


@pytest.mark.parametrize("name", ["linux/include/net.h", "linux/include/generated/autoconf.h"])
def test_without_an_index_what_came_after_the_object_makes_it_stale(build: _Build, name: str) -> None:
    """By when it came here: headers of a package are older than the day that they are installed."""
    time.sleep(0.02)
    build.compile("include/net.h")
    time.sleep(0.02)
    build.write(name, (build.root / name).read_text(), age=100_000)
    build.reopen()
    assert build.freshness.is_stale(str(build.object), str(build.cmd_path))


@pytest.mark.parametrize("name", ["linux/include/net.h", "linux/include/generated/autoconf.h"])
def test_without_an_index_an_object_is_stale_whose_header_is_gone(build: _Build, name: str) -> None:
    time.sleep(0.02)
    build.compile("include/net.h")
    (build.root / name).unlink()
    build.reopen()
    assert build.freshness.is_stale(str(build.object), str(build.cmd_path))


@pytest.mark.parametrize("value", ["[]", "{", '{"format": 0}', "null"])
def test_an_index_of_another_format_is_not_used(build: _Build, value: str) -> None:
    build.compile("include/usb.h")
    (build.out / "index.json").write_text(value)
    build.write("linux/include/usb.h", "/* later */\n", age=-1)
    assert build.reopen().is_stale(str(build.object), str(build.cmd_path))


def test_the_index_forgets_states_that_no_object_was_made_from(build: _Build) -> None:
    build.compile("include/net.h")
    build.freshness.save()
    size = (build.out / "index.json").stat().st_size
    for age in range(900, 0, -100):
        build.write("linux/include/net.h", "/* linux/include/net.h */\n", age=age)
        assert build.is_stale()
        build.compile("include/net.h")
        assert not build.is_stale()
    assert abs((build.out / "index.json").stat().st_size - size) < 20


def test_an_index_that_did_not_change_is_not_written(build: _Build) -> None:
    build.compile("include/net.h")
    build.freshness.save()
    index = build.out / "index.json"
    os.utime(index, ns=(0, 0))
    build.freshness.save()
    assert not build.is_stale()
    build.freshness.save()
    assert index.stat().st_mtime_ns == 0


def test_the_configuration_is_read_once(build: _Build, monkeypatch: pytest.MonkeyPatch) -> None:
    build.compile(symbols=("NET",))
    build.freshness.save()
    build.write("linux/include/generated/autoconf.h", "#define CONFIG_NET 1\n", age=10)
    build.reopen().save()
    monkeypatch.setattr(freshness, "read_autoconf", lambda _: pytest.fail("the configuration is read again"))
    assert not build.is_stale()


def test_the_index_forgets_a_configuration_that_no_object_was_made_under(build: _Build) -> None:
    build.compile(symbols=("NET",))
    build.freshness.save()
    build.write("linux/include/generated/autoconf.h", "#define CONFIG_NET 1\n", age=10)
    build.reopen().save()  # (a build that has nothing to do with the object)
    assert len(read_json(build.out / "index.json")["configs"]) == 2
    assert not build.is_stale()
    build.freshness.save()
    assert len(read_json(build.out / "index.json")["configs"]) == 1


def test_a_configuration_is_read_as_c_code_sees_it(tmp_path: Path) -> None:
    path = tmp_path / "autoconf.h"
    path.write_text('/* made */\n#define CONFIG_A 1\n#define CONFIG_B_MODULE 1\n#define CONFIG_C "a b"\n#define X 1\n')
    assert read_autoconf(path) == {"A": "1", "B": "m", "C": '"a b"'}
    assert read_autoconf(tmp_path / "none") == {}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KBUILDPY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.usefixtures("cache")
def test_symbols_of_the_trees_headers_are_read_once(build: _Build, monkeypatch: pytest.MonkeyPatch) -> None:
    header = build.write("linux/include/net.h", "#ifdef CONFIG_NET\n#if IS_ENABLED(CONFIG_USB_MODULE)\n")
    first = HeaderSymbols(build.tree)
    assert first.of(str(header)) == ["NET", "USB"]
    first.save()
    with monkeypatch.context() as patched:
        patched.setattr(freshness, "mentioned_symbols", lambda _: pytest.fail("the header is read again"))
        assert HeaderSymbols(build.tree).of(str(header)) == ["NET", "USB"]
    build.write("linux/include/net.h", "#ifdef CONFIG_HZ\n", age=10)
    assert HeaderSymbols(build.tree).of(str(header)) == ["HZ"]


def test_symbols_that_are_known_are_not_written_again(build: _Build, cache: Path) -> None:
    header = build.write("linux/include/net.h", "#ifdef CONFIG_NET\n")
    first, second = HeaderSymbols(build.tree), HeaderSymbols(build.tree)
    first.of(str(header))
    first.save()
    [kept] = (path for path in cache.rglob("*") if path.is_file())
    kept.rename(kept.with_suffix(".moved"))
    first.save()
    assert not kept.exists()
    kept.with_suffix(".moved").rename(kept)
    os.utime(kept, ns=(0, 0))
    second.of(str(header))
    second.save()
    assert kept.stat().st_mtime_ns == 0


def test_symbols_of_modules_files_are_not_kept_in_the_users_cache(build: _Build, cache: Path) -> None:
    """Every module that was ever built would be carried along by each build."""
    source = build.write("module/hello.c", "#ifdef CONFIG_NET\n")
    symbols = HeaderSymbols(build.tree)
    assert symbols.of(str(source)) == ["NET"]
    symbols.save()
    assert not [path for path in cache.rglob("*") if path.is_file()]
    build.write("module/hello.c", "#ifdef CONFIG_HZ\n", age=10)
    assert HeaderSymbols(build.tree).of(str(source)) == ["HZ"]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", ["linux/none.h", "module/none.h"])
def test_a_file_that_cannot_be_read_mentions_nothing(build: _Build, name: str) -> None:
    assert HeaderSymbols(build.tree).of(str(build.root / name)) == []


@pytest.mark.usefixtures("cache")
def test_a_depfile_names_symbols_of_all_that_was_read(build: _Build) -> None:
    build.write("module/hello.c", "CONFIG_A\n")
    build.write("linux/include/net.h", "CONFIG_B\n")
    depfile = build.root / "hello.d"
    depfile.write_text(f"hello.o: {build.root}/module/hello.c include/net.h include/generated/autoconf.h\n")
    found = cmd_file_of(
        depfile, cwd=str(build.root / "linux"), symbols_of=HeaderSymbols(build.tree).of, is_own=lambda _: False
    )
    assert found.symbols == {"A", "B"}
    assert found.headers == ("include/net.h",)
