# SPDX-License-Identifier: GPL-2.0-only
"""Kbuild files with rules of their own: what they generate is compiled to the bytes of an in-place build.

kbuildpy lets make carry such rules out below an overlay of the directory, or in a copy of it; nothing of that may show
in a module.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from tests.support.builds import assert_equal, collect, kbuildpy
from tests.support.kbuild_sources import assert_same, both, exporting, module, says, write_sources
from tests.support.kernel_trees import EARLY, newest_tree_first, swept, tree_of_release, trees
from tests.support.packages import other_compiler

pytestmark = pytest.mark.parity

# A program that prints a C source: what it is called with, as numbers.
GENERATOR = """\
#include <stdio.h>
int main(int argc, char **argv)
{
	printf("#define GENERATED %d\\n", argc);
	return argc > 9 && argv[0];
}
"""
USES_NAMES = """
const char *where(void);
const char *where(void) { return __FILE__ __BASE_FILE__; }
"""


RELEASES = newest_tree_first()
with_early = pytest.mark.parametrize("tree", [*RELEASES, *swept(EARLY)], indirect=True)


@pytest.fixture(params=RELEASES)
def tree(request: pytest.FixtureRequest) -> KernelTree:
    return tree_of_release(request.param)


@with_early
def test_a_header_made_by_a_host_program(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": """\
obj-m := hosted.o
hosted-y := main.o sub/other.o
hostprogs := generator
hostprogs-always-y := tool
always-y := also.txt
extra-y += more.txt
generator-objs := generator-main.o part.o
HOSTCFLAGS_part.o := -DPART=3
ccflags-y := -I$(obj)
quiet_cmd_generate = GEN     $@
      cmd_generate = $(obj)/generator one two > $@
targets += generated.h
$(obj)/generated.h: $(obj)/generator FORCE
	$(call if_changed,generate)
$(obj)/main.o $(obj)/sub/other.o: $(obj)/generated.h
$(obj)/also.txt:
	echo also > $@
$(obj)/more.txt:
	echo more > $@
clean-files := generated.h
""",
        "generator-main.c": GENERATOR.replace("argc > 9", "part() > 9").replace(
            "int main", "int part(void);\nint main"
        ),
        "part.c": "int part(void);\nint part(void) { return PART; }\n",
        "tool.c": "int main(void) { return 0; }\n",
        "main.c": '#include "generated.h"\n' + module(says("GENERATED") + USES_NAMES),
        "sub/other.c": "#include <generated.h>\nint other = GENERATED;\n",
    }
    ours = assert_same(tree, tmp_path / "m", sources)
    assert b"GENERATED=3" in ours.files["hosted.ko"]
    assert str(tmp_path / "m/main.c").encode() in ours.files["hosted.ko"]


@with_early
def test_sources_made_by_rules_of_every_spelling(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": """\
obj-m := made.o
made-y := main.o by_if_changed.o by_rule.o by_src.o by_filechk.o by_pattern.o below/by_rule.o
targets += by_if_changed.c by_filechk.c
quiet_cmd_copy_it = COPYIT  $@
      cmd_copy_it = sed s/NAME/by_if_changed/ $< > $@
$(obj)/by_if_changed.c: $(src)/template.in FORCE
	$(call if_changed,copy_it)
$(obj)/by_rule.c: $(src)/template.in $(src)/generate.sh
	$(Q)$(src)/generate.sh by_rule < $< > $@
$(src)/by_src.c: $(src)/template.in
	@echo '  GEN     $@'
	@sed s/NAME/by_src/ $(src)/template.in > $(src)/by_src.c
filechk_it = sed s/NAME/by_filechk/ $<
$(obj)/by_filechk.c: $(src)/template.in FORCE
	$(call filechk,it)
$(obj)/by_%.c: $(src)/%.table
	sed s/NAME/by_pattern/ $< > $@
$(obj)/below/by_rule.c: $(src)/template.in
	mkdir -p $(dir $@); sed s/NAME/below_by_rule/ $< > $@
""",
        "template.in": "const char *NAME(void);\nconst char *NAME(void) { return __FILE__; }\n",
        "pattern.table": "const char *NAME(void);\nconst char *NAME(void) { return __FILE__; }\n",
        "generate.sh": '#!/bin/sh\nsed "s/NAME/$1/"\n',
        "main.c": exporting('int m(void); int m(void) { return 1; }\nEXPORT_SYMBOL(m);\nSAY(version, "version=7");'),
    }
    assert_same(tree, tmp_path / "m", sources)


@with_early
def test_rules_in_subdirectories_and_neighbours_of_the_directory(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "common/shared.h": "#define SHARED 1\n",
        "common/shared.c": '#include "shared.h"\nconst char *shared(void);\n'
        "const char *shared(void) { return __FILE__; }\n",
        "drv/Kbuild": "obj-m := top.o sub/\ntop-y := main.o ../common/shared.o\n"
        "subdir-ccflags-y := -I$(src)/../common\n",
        "drv/main.c": module('#include "shared.h"\n' + says("SHARED")),
        "drv/sub/Makefile": """\
obj-m := nested.o
nested-y := code.o generated.o
$(obj)/generated.c: $(src)/../words.txt $(src)/../../common/shared.h
	cat $^ > $@
""",
        "drv/words.txt": "int words = 5;\n",
        "drv/sub/code.c": module("#include <shared.h>\n" + says("SHARED")),
    }
    [(oracle, ours)] = both(tree, tmp_path / "m", sources, steps=[("drv", [])])
    assert_equal(oracle, ours)


@with_early
def test_objects_made_by_rules(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": """\
obj-m := objects.o
objects-y := main.o blob.o linked.o
targets += blob.o linked.o
quiet_cmd_blob = BLOB    $@
      cmd_blob = cd $(dir $<) && $(LD) -r -b binary -o $@ -z noexecstack $(notdir $<)
$(obj)/blob.o: $(src)/blob.bin FORCE
	$(call if_changed,blob)
$(obj)/linked.o: $(obj)/one.o $(obj)/two.o FORCE
	$(call if_changed,ld)
LDFLAGS_linked.o := -r
""",
        "blob.bin": "0123456789",
        "main.c": module(
            "extern char _binary_blob_bin_start[]; char *b(void); char *b(void) { return _binary_blob_bin_start; }"
        ),
        "one.c": "int one;\n",
        "two.c": "int two;\n",
    }
    assert_same(tree, tmp_path / "m", sources)


def test_what_rules_make_is_made_again_only_when_its_sources_change(tmp_path: Path) -> None:
    tree = trees()[0]
    place = tmp_path / "m"
    write_sources(
        {
            "Kbuild": """\
obj-m := again.o plain.o
again-y := main.o table.o
$(obj)/table.c: $(src)/table.txt
	sed s/^/int/ $< > $@
""",
            "table.txt": " table = 1;\n",
            "main.c": module(),
            "plain.c": module(),
        },
        place,
    )

    def build() -> list[str]:
        done = kbuildpy("build", place, "-k", str(tree.objects))
        assert done.returncode == 0, done.error_text
        return [line.split()[-1] for line in done.text.splitlines() if line.startswith("  CC ")]

    assert build() != []
    assert build() == []
    time.sleep(0.01)
    (place / "table.txt").write_text(" table = 2;\n")
    assert build() == ["table.o"]
    os.utime(place / "main.c")
    assert build() == []
    (place / "main.c").write_text(module("int more;"))
    assert build() == ["main.o"]
    assert build() == []


def test_objects_that_own_rules_read_are_made_once(tmp_path: Path) -> None:
    tree = max(trees(), key=lambda tree: tree.version)
    place = tmp_path / "m"
    sources = {
        "Kbuild": """\
obj-m := read.o
read-y := main.o d/one.o d/two.o made.o
always-y += d/both.o
$(obj)/d/both.o: $(obj)/d/one.o $(obj)/d/two.o
	$(LD) -r -o $@ $^
$(obj)/made.c: $(obj)/d/both.o
	echo 'int made;' >$@
""",
        "main.c": exporting('int m(void); int m(void) { return 1; }\nEXPORT_SYMBOL(m);\nSAY(version, "version=7");'),
        "d/one.c": '#include "one.h"\nint one = ONE;\n',
        "d/one.h": "#define ONE 1\n",
        "d/two.c": "int two;\n",
    }

    def build(*more: str) -> str:
        words = ["build", str(place), "-k", str(tree.objects), *other_compiler(tree), *more]
        done = kbuildpy(*words)
        assert done.returncode == 0, done.error_text
        return done.text

    first = assert_same(tree, place, sources)
    lines = first.output.splitlines()
    for name in ("one", "two"):
        assert len([line for line in lines if "  CC " in line and line.endswith(f"d/{name}.o")]) == 1
    assert "up to date" in build("-n")
    again = build()
    assert "CC " not in again
    assert "both.o" not in again
    # A change that leaves the object as it is changes the srcversion all the same.
    sources["d/one.c"] += "#define NEVER_USED 1\n"
    (place / "d/one.c").write_text(sources["d/one.c"])
    assert "MAKE    d/one.o" in build("-n")
    build()
    changed = collect(place / "build" / tree.release)
    assert changed["read.ko"] != first.files["read.ko"]
    fresh = assert_same(tree, place, sources)
    assert changed == fresh.files


def test_the_compiler_is_asked_once_for_an_option_that_many_rules_name(tree: KernelTree, tmp_path: Path) -> None:
    log, compiler = tmp_path / "log", tmp_path / "compiler"
    compiler.write_text(f'#!/bin/sh\necho "$*" >> {log}\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    headers = " ".join(f"$(obj)/gen{number}.h" for number in range(9))
    sources = {
        "Kbuild": f"""\
obj-m := asks.o
asks-y := main.o
ccflags-y = $(call cc-option,-DCOLON=':=',)
_ := $(shell true) # (so that it is asked again in every run)
$(obj)/gen%.h:
\techo '#define GEN$* "$(call cc-option,-fshort-wchar,)$(call cc-option,-fno-such-thing,none)"' > $@
$(obj)/main.o: {headers}
""",
        "main.c": "".join(f'#include "gen{number}.h"\n' for number in range(9))
        + module("".join(f"static const char *gen{n} __attribute__((used)) = GEN{n};\n" for n in range(9))),
    }
    place, given = tmp_path / "m", f"CC={compiler}"

    def asked(option: str) -> int:
        return sum(option in line and "/dev/null" in line for line in log.read_text().splitlines())

    ours = assert_same(tree, place, sources, given)
    assert b"-fshort-wcharnone" in ours.files["asks.ko"]
    log.write_text("")
    assert kbuildpy("build", place, "-k", tree.objects, given).returncode == 0
    assert asked("-fno-such-thing") == 1
    shutil.rmtree(place / "build")
    assert kbuildpy("build", place, "-k", tree.objects, given).returncode == 0
    # Asked when the Kbuild file is read, when its rules are carried out, and when it is read again.
    assert asked("-fno-such-thing") <= 1 + 3


def test_a_failing_rule_is_told_in_makes_words(tmp_path: Path) -> None:
    tree = trees()[0]
    place = tmp_path / "m"
    rule = "$(obj)/table.c: $(src)/table.txt\n\tcp $< $@; echo no table today >&2; exit 3\n"
    write_sources(
        {"Kbuild": f"obj-m := broken.o\nbroken-y := main.o table.o\n{rule}", "main.c": module(), "table.txt": ""}, place
    )
    done = kbuildpy("build", place, "-k", str(tree.objects))
    assert done.returncode == 1
    assert "no table today" in done.error_text
    assert f"Kbuild:4: {place}/table.c] Error 3" in done.error_text
    assert ".kbuildpy" not in done.error_text, "the message names the copy of the directory"
    assert "Traceback" not in done.error_text
    (place / "Kbuild").write_text((place / "Kbuild").read_text().replace("exit 3", "exit 0"))
    assert kbuildpy("build", place, "-k", str(tree.objects)).returncode == 0
