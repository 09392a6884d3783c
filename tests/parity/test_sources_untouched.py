# SPDX-License-Identifier: GPL-2.0-only
"""Kbuild files that run programs and have rules of their own see the user's directory, and nothing is written in it.

The oracle is an in-place build by make at the same path.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kbuild.make_output import MAKEFILES
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import REPRODUCIBLE, assert_equal, assert_refused_alike, build_both, kbuildpy, listing
from tests.support.kbuild_sources import Sources, assert_same, both, module, says, write_sources
from tests.support.kernel_trees import newest_tree_first, tree_of_release, trees
from tests.support.no_namespaces import REFUSING
from tests.support.packages import other_compiler

pytestmark = pytest.mark.parity

NOBODY = 65534
# Runs a program as an ordinary user; Python and its packages may be in root's home.
AS_NOBODY = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
]


@pytest.fixture(params=newest_tree_first())
def tree(request: pytest.FixtureRequest) -> KernelTree:
    return tree_of_release(request.param)


def test_paths_in_own_rules_and_options_are_the_users(tree: KernelTree, tmp_path: Path) -> None:
    place = tmp_path / "m"
    sources = {
        "Kbuild": """\
obj-m := paths.o
paths-y := main.o made.o sub/below.o
ccflags-y := -DSRC=\\"$(src)\\" -DEXTMOD=\\"$(KBUILD_EXTMOD)\\" -DM_=\\"$(M)\\" -DHERE=\\"$(shell cd $(src) && pwd)\\"
$(obj)/made.c: $(src)/made.in
	(cat $<; echo 'const char *made(void) { return "$(abspath $@) $(realpath $<)" __FILE__; }') >$@
$(obj)/sub/below.h:
	echo '#define BELOW "$(abspath $@)"' >$@; pwd -P >$(obj)/pwd.txt
$(obj)/sub/below.o: $(obj)/sub/below.h
""",
        "made.in": "const char *made(void);\n",
        "main.c": module('const char *names(void); const char *names(void) { return SRC " " EXTMOD " " M_ " " HERE; }'),
        "sub/below.c": '#include "below.h"\nconst char *below(void);\nconst char *below(void) { return BELOW; }\n',
    }
    ours = assert_same(tree, place, sources)
    for name in (place, place / "made.c", place / "sub/below.h"):
        assert str(name).encode() in ours.files["paths.ko"]
    assert b".kbuildpy" not in ours.files["paths.ko"]


def test_messages_name_the_users_files(tree: KernelTree, tmp_path: Path) -> None:
    rule = "$(obj)/made.h: $(src)/made.in\n\tcp $< $@\n$(obj)/main.o: $(obj)/made.h\n"
    sources = {"Kbuild": f"obj-m := wrong.o\nwrong-y := main.o\n{rule}", "made.in": "#define MADE misspelt\n"}
    for body in ('#include "made.h"\nint main_value = MADE;', '#include "made.h"\n#include "nowhere.h"\n'):
        [(oracle, ours)] = both(tree, tmp_path / "m", {**sources, "main.c": module(body)})
        assert_refused_alike(oracle, ours)
        assert ".kbuildpy" not in ours.output
    del sources["made.in"]
    done = kbuildpy("build", _written(tmp_path / "n", {**sources, "main.c": module()}), "-k", tree.objects)
    assert done.returncode == 1
    assert f"No rule to make target '{tmp_path}/n/made.in'" in done.error_text
    assert ".kbuildpy" not in done.error_text


# A directory with links and with what is no source, whose Kbuild file has rules of its own and writes when it is read.
LINKED = {
    "common/inc/shared.h": "#define SHARED 1\n",
    "drv/real/inner.h": "#define INNER 2\n",
    "drv/Kbuild": """\
obj-m := links.o
links-y := main.o made.o build/source.o
ccflags-y := -I$(src)/inc -I$(src)/inner
include $(src)/more.mk
$(obj)/made.c: $(src)/inner/inner.h
	echo 'int made;' >$@; echo '#define WRITTEN 3' >$(obj)/inner/written.h
$(obj)/main.o: $(obj)/made.c
""",
    "drv/more.mk": "_ := $(shell sh $(src)/gen.sh $(src))\n",
    "drv/gen.sh": "[ -e $1/read.h ] || echo '#define READ 4' >$1/read.h\n",
    "drv/main.c": module(
        "".join(f"#include <{name}.h>\n" for name in ("shared", "inner", "written"))
        + '#include "read.h"\n'
        + says("SHARED", "INNER", "WRITTEN", "READ")
    ),
    "drv/build/source.c": "int source;\n",
}


def lay_out_linked(place: Path) -> None:
    write_sources(LINKED, place)
    (place / "drv/inc").symlink_to("../common/inc")
    (place / "drv/inner").symlink_to("real")
    (place / "drv/.#main.c").symlink_to("user@host.1234:5678")
    os.mkfifo(place / "drv/pipe")


@pytest.mark.sweep
def test_links_and_special_files_beside_own_rules(tree: KernelTree, tmp_path: Path) -> None:
    place = tmp_path / "m"
    [(oracle, ours)] = build_both(tree, lay_out_linked, place, steps=[("drv", ())])
    assert_equal(oracle, ours)
    words: list[str | Path] = ["build", place / "drv", "-k", tree.objects, REPRODUCIBLE]
    elsewhere = kbuildpy(*words, "-o", tmp_path / "elsewhere")
    assert elsewhere.returncode == 0, elsewhere.error_text
    assert kbuildpy(*words, "-c").returncode == 0
    assert [path.name for path in (place / "drv/build").iterdir()] == ["source.c"]
    before = listing(place)

    def refused(*more: str | Path) -> Completed:
        done = run([*REFUSING, sys.executable, "-m", "kbuildpy", *words, *more], check=False)
        assert listing(place) == before
        return done

    assert refused("-n").returncode == 0
    for out in (place / "drv/build", tmp_path / "again"):
        done = refused("-o", out)
        assert done.returncode == 0, done.error_text
        assert done.error_text.count("no overlay over") == 1
        assert (out / tree.release / "links.ko").read_bytes() == oracle.files["links.ko"]
        assert "  CC " not in refused("-o", out).text
    # (a run that was killed while it copied)
    (tmp_path / "again" / tree.release / ".kbuildpy/sources.json").unlink()
    assert refused("-n", "-o", tmp_path / "again").returncode == 0
    (place / "drv/main.c").write_text("int value = misspelt;\n")
    before = listing(place)
    assert f"{place}/drv/main.c:1:13: error:" in refused().error_text


def test_a_build_without_an_overlay_leaves_no_copy_that_nothing_needs(tree: KernelTree, tmp_path: Path) -> None:
    place, out = tmp_path / "drv", tmp_path / "out"
    place.mkdir()
    (place / "drv.c").write_text('#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("d");\n')
    (place / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nsecret\n")
    words = [*REFUSING, sys.executable, "-m", "kbuildpy", "build", str(place), "-k", str(tree.objects), "-o", str(out)]
    for line in ("obj-m += dvr.o\n", "obj-m += drv.o\n"):
        (place / "Kbuild").write_text(line)
        done = run(words, check=False)
        assert not (out / tree.release / ".kbuildpy/sources").exists()
        if "dvr" in line:
            assert f"{place}/dvr." in done.error_text and str(out) not in done.error_text
    assert done.returncode == 0, done.error_text
    # With rules of its own the copy stays, without the key; a target that is misspelt does not take it away.
    rule = "$(obj)/drv.o: $(obj)/made.h\n$(obj)/made.h:\n\ttouch $@\n"
    (place / "Kbuild").write_text(f"obj-m += drv.o\n{rule}")
    done = run(words, check=False)
    assert (done.returncode, done.error_text.count("no overlay over")) == (0, 1), done.error_text
    assert run([*words, "nosuch.o"], check=False).returncode != 0
    [made] = (out / tree.release / ".kbuildpy/sources").rglob("made.h")
    assert sorted(path.name for path in made.parent.iterdir() if path.is_file()) == ["Kbuild", "drv.c", "made.h"]
    # A Kbuild file that asks the shell is read each time, from a copy that stays.
    shutil.rmtree(out)
    (place / "Kbuild").write_text("obj-m += drv.o\nccflags-y := $(shell echo -DX)\n")
    assert run(words, check=False).returncode == 0
    assert next((out / tree.release / ".kbuildpy/sources").rglob("drv.c"))


def test_git_sees_an_untouched_checkout(tree: KernelTree, tmp_path: Path) -> None:
    def check_in(place: Path) -> None:
        rule = "$(obj)/made.c: $(src)/made.in\n\tcp $< $@\n"
        version = '\\"$(shell cd $(src) && git describe --always --dirty 2>/dev/null || echo none)\\"'
        sources = {
            "Kbuild": f"obj-m := gitted.o\ngitted-y := main.o made.o\nccflags-y := -DVERSION={version}\n{rule}",
            "made.in": "int made;\n",
            "main.c": module(says("VERSION")),
            ".gitignore": "build/\n*.o\n*.ko\n*.mod*\n.*\nmade.c\nmodules.order\nModule.symvers\n",
        }
        write_sources(sources, place)
        _git(place, "init", "-q")
        _git(place, "add", "-f", *sources)
        _git(place, "commit", "-q", "-m", "first")

    place = tmp_path / "m"
    [(oracle, ours)] = build_both(tree, check_in, place)
    assert_equal(oracle, ours)
    assert b"-dirty" not in ours.files["gitted.ko"]
    elsewhere = kbuildpy("build", place, "-k", tree.objects, "-o", tmp_path / "elsewhere", REPRODUCIBLE)
    assert elsewhere.returncode == 0, elsewhere.error_text
    assert (tmp_path / f"elsewhere/{tree.release}/gitted.ko").read_bytes() == oracle.files["gitted.ko"]
    # What git notes while it looks must not hide what is committed later.
    (place / "main.c").write_text(module("int more;\n" + says("VERSION")))
    assert b"-dirty" in _built(place, tree, "gitted.ko")
    _git(place, "commit", "-q", "-a", "-m", "second")
    assert b"-dirty" not in _built(place, tree, "gitted.ko")


# What a Kbuild file may do while it is read, and as it cannot be seen in its text.
WRITES = {
    "Kbuild": "obj-m := writes.o sub/\nwrites-y := main.o\nccflags-y := -I$(obj)\n"
    "include $(src)/more.mk\nnames := $(shell awk '{if($$1 > 5) print $$1}' $(src)/numbers)\n",
    "more.mk": "_ := $(shell sh $(src)/gen.sh $(src)/first.h $(KERNELVERSION))\n",
    "gen.sh": '[ -e "$1" ] || echo "#define KERNEL $2" >"$1"\n',
    "numbers": "1\n7\n",
    "main.c": module('#include "first.h"\n' + says("KERNEL")),
    "sub/Kbuild": "obj-m := below.o\nccflags-y := -I$(obj)/deep\n"
    "_ := $(shell mkdir -p $(src)/deep; sh $(src)/../gen.sh $(src)/deep/second.h $(KERNELVERSION))\n",
    "sub/below.c": module("#include <second.h>\n" + says("KERNEL")),
}


def test_kernels_do_not_read_what_others_wrote_while_a_kbuild_file_was_read(tmp_path: Path) -> None:
    place = tmp_path / "m"
    oracles = {}
    for tree in trees():
        [(oracle, ours)] = both(tree, place, WRITES)
        assert_equal(oracle, ours)
        oracles[tree.release] = oracle
    shutil.rmtree(place)
    write_sources(WRITES, place)
    before = listing(place)
    for tree in trees():
        assert kbuildpy("build", place, "-n", "-k", tree.objects).returncode == 0
        assert listing(place) == before
        assert not (place / "build").exists()
    for tree in trees():
        for name in ("writes.ko", "sub/below.ko"):
            assert _built(place, tree, name) == oracles[tree.release].files[name]
        assert listing(place) == before


def test_a_source_that_a_rule_changes_is_still_the_users_to_change(tmp_path: Path) -> None:
    tree = trees()[0]
    place = _written(
        tmp_path / "m",
        {
            "Kbuild": "obj-m := edits.o\nedits-y := main.o\n$(obj)/stamp: $(src)/value.h\n"
            "\tsed -i s/OLD/NEW/ $<; rm -f $(src)/gone.h; touch $@\n$(obj)/main.o: $(obj)/stamp\n",
            "value.h": "#define VALUE OLD_one\n",
            "gone.h": "",
            "main.c": module('#include "value.h"\n' + says("VALUE")),
        },
    )
    before = listing(place)
    assert b"VALUE=NEW_one" in _built(place, tree, "edits.ko")
    assert listing(place) == before
    (place / "value.h").write_text("#define VALUE OLD_two\n")
    assert b"VALUE=NEW_two" in _built(place, tree, "edits.ko")
    assert (place / "value.h").read_text() == "#define VALUE OLD_two\n"
    assert kbuildpy("build", place, "-k", tree.objects, "-c").returncode == 0
    assert not (place / "build").exists()


LINKS_MADE = {
    "relative": "$(shell ln -sfn real $(src)/made)",
    "absolute": "$(shell ln -sfn $(src)/real $(src)/made)",
    "of a link": "$(shell ln -sfn real $(src)/first; ln -sfn first $(src)/made)",
}


@pytest.mark.parametrize("link", LINKS_MADE)
def test_links_that_a_kbuild_file_makes_lead_where_they_lead_under_make(link: str, tmp_path: Path) -> None:
    tree = trees()[0]
    place = tmp_path / "m"
    sources = {
        "Kbuild": f"obj-m := links.o\nlinks-y := main.o made/part.o\n{LINKS_MADE[link]}\n",
        "main.c": '#include "made/value.h"\n' + module(says("VALUE")),
        "real/value.h": "#define VALUE one\n",
        "real/part.c": "int part;\n",
    }
    [(oracle, ours)] = both(tree, place, sources)
    assert_equal(oracle, ours)
    assert "up to date" in kbuildpy("build", place, "-n", "-k", tree.objects).text
    (place / "real/value.h").write_text("#define VALUE two\n")
    assert b"VALUE=two" in _built(place, tree, "links.ko")


def test_a_source_is_followed_from_a_system_with_overlays_to_one_without(tmp_path: Path) -> None:
    tree = trees()[0]
    rule = "$(obj)/gen.h:\n\techo '#define GEN 1' > $@\n$(obj)/main.o: $(obj)/gen.h\n"
    place = _written(tmp_path / "m", {"Kbuild": f"obj-m := turns.o\nturns-y := main.o\n{rule}"})
    words: list[str | Path] = [sys.executable, "-m", "kbuildpy", "build", place, "-k", tree.objects]
    for value in ("one", "two", "three"):
        (place / "main.c").write_text(f'#include "gen.h"\n#define VALUE {value}\n' + module(says("VALUE")))
        for refusing in (REFUSING, [], REFUSING):
            done = run([*refusing, *words], check=False)
            assert done.returncode == 0, done.error_text
            assert f"VALUE={value}".encode() in (place / "build" / tree.release / "turns.ko").read_bytes()


@pytest.mark.parametrize("refusing", [[], REFUSING], ids=["overlay", "copy"])
def test_what_make_was_making_when_it_was_killed_is_made_again(refusing: list[str], tmp_path: Path) -> None:
    tree, ready = trees()[0], tmp_path / "ready"
    rule = f"\techo '#define GEN half' > $@; test -e {ready} || {{ kill -9 $$PPID; exit 1; }}; "
    rule += "echo '#define GEN whole' > $@\n"
    sources = {
        "Kbuild": f"obj-m := cut.o\ncut-y := main.o\n$(obj)/gen.h:\n{rule}$(obj)/main.o: $(obj)/gen.h\n",
        "main.c": '#include "gen.h"\n' + module(says("GEN")),
    }
    place = _written(tmp_path / "m", sources)
    words: list[str | Path] = [sys.executable, "-m", "kbuildpy", "build", place, "-k", tree.objects]
    done = run([*refusing, *words], check=False)
    assert done.returncode == 1
    assert "make was ended by SIGKILL" in done.error_text
    ready.touch()
    done = run([*refusing, *words], check=False)
    assert done.returncode == 0, done.error_text
    assert b"GEN=whole" in (place / "build" / tree.release / "cut.ko").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_rule_ends_with_the_build_that_runs_it(number: int, tmp_path: Path) -> None:
    tree = trees()[0]
    rule = f"\techo $$$$ > {tmp_path}/pid; exec sleep 300\n"
    sources = {"Kbuild": f"obj-m := ends.o\n$(obj)/ends.c:\n{rule}"}
    place = _written(tmp_path / "m", sources)
    build = subprocess.Popen([sys.executable, "-m", "kbuildpy", "build", str(place), "-k", str(tree.objects)])
    sleeper = tmp_path / "pid"
    assert _within_seconds(60, lambda: sleeper.exists() and sleeper.read_text().strip() != "")
    build.send_signal(number)
    build.wait()
    assert _within_seconds(10, lambda: not Path("/proc", sleeper.read_text().strip()).exists())


def _within_seconds(seconds: float, what: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_an_ordinary_user_needs_no_privilege(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("everything here is built by an ordinary user")
    if not all(folder.stat().st_mode & stat.S_IXOTH for folder in MAKEFILES.parents):
        pytest.skip("an ordinary user cannot read this checkout")
    tree = trees()[0]
    sources = {
        "Kbuild": "obj-m := user.o\nuser-y := main.o made.o\n_ := $(shell echo 7 >$(src)/team/read.txt)\n"
        "$(obj)/made.c: $(src)/team/made.in\n"
        "\tcp $< $@; id -u >$(obj)/team/user.txt; rm -f $(src)/gone.h; cat $(src)/team/read.txt\n",
        "team/made.in": "int made;\n",
        "gone.h": "",
        "main.c": module(),
    }
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        place = _written(home / "m", sources)
        for path in (home, *home.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        # A folder that the user shares with a group: an owner that a user namespace of one user does not know.
        os.chown(place / "team", NOBODY, 1234)
        before = listing(place)
        words: list[str | Path] = [sys.executable, "-m", "kbuildpy", "build", place, "-k", tree.objects]
        environment = {**os.environ, "HOME": folder, "KBUILDPY_CACHE": f"{folder}/cache"}

        def build(*more: str) -> Completed:
            return run([*AS_NOBODY, *words, *more], env=environment, check=False)

        first = build()
        assert first.returncode == 0, first.error_text
        assert "overlay" not in first.error_text
        kept = place / f"build/{tree.release}/.kbuildpy/overlay/upper/team"
        assert (kept / "user.txt").read_text() == f"{NOBODY}\n"
        assert listing(place) == before
        assert "  CC " not in build().text
        assert build("-c").returncode == 0
        assert not (place / "build").exists()
        assert listing(place) == before


def _written(place: Path, sources: Sources) -> Path:
    write_sources(sources, place)
    return place


def _built(place: Path, tree: KernelTree, name: str) -> bytes:
    done = kbuildpy("build", place, "-k", tree.objects, REPRODUCIBLE, *other_compiler(tree))
    assert done.returncode == 0, done.error_text
    return (place / "build" / tree.release / name).read_bytes()


def _git(place: Path, *words: str) -> None:
    when = {"GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    run(["git", *who, *words], cwd=place, env={**os.environ, **when})
