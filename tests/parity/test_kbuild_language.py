# SPDX-License-Identifier: GPL-2.0-only
"""What a Kbuild file may say: each construct built by make and by kbuildpy, compared byte for byte."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from kbuildpy.kernel.tree import KernelTree
from kbuildpy.run import run
from tests.support.builds import assert_equal, build_both, kbuildpy, make
from tests.support.kbuild_sources import (
    assert_equal_or_refused,
    assert_same,
    both,
    exporting,
    module,
    says,
    write_sources,
)
from tests.support.kernel_trees import EARLY, newest_tree_first, swept, tree_of_release, trees
from tests.support.packages import newer_kernel

pytestmark = pytest.mark.parity


with_early = pytest.mark.parametrize("tree", [*newest_tree_first(), *swept(EARLY)], indirect=True)


@pytest.fixture(params=newest_tree_first())
def tree(request: pytest.FixtureRequest) -> KernelTree:
    return tree_of_release(request.param)


@with_early
def test_objects_are_listed_in_every_way(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": """\
obj-m := single.o composed.o other-one.o x,y.o dotted.name.o
obj-$(CONFIG_BY_CONFIG) += by_config.o
obj-$(CONFIG_NOT_SET) += nothing.o
obj-n += nothing.o
composed-objs := first.o deep/down/second.o
composed-y += shared.o
composed-$(CONFIG_PART) += part.o
composed-$(CONFIG_NOT_SET) += nothing.o
other-one-m := third.o
other-one-y += shared.o
""",
        "single.c": module("SAY(modname, KBUILD_MODNAME);"),
        "first.c": module(),
        "deep/down/second.c": "#include <linux/kconfig.h>\nint second(void); int second(void) { return 2; }",
        "shared.c": "int shared(void); int shared(void) { return 3; }",
        "part.c": "const char *part(void); const char *part(void) { return KBUILD_MODNAME KBUILD_BASENAME; }",
        "third.c": module("SAY(modname, KBUILD_MODNAME);"),
        "x,y.c": module("SAY(modname, KBUILD_MODNAME);"),
        "dotted.name.c": module("SAY(modname, KBUILD_MODNAME);"),
        "by_config.c": module("SAY(modname, KBUILD_MODNAME);"),
    }
    ours = assert_same(tree, tmp_path / "m", sources, "CONFIG_BY_CONFIG=m", "CONFIG_PART=y")
    expected = ["by_config.ko", "composed.ko", "dotted.name.ko", "other-one.ko", "single.ko", "x,y.ko"]
    assert ours.names(".ko") == expected


@with_early
def test_subdirectories_through_obj_y_and_obj_m(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": "obj-m := top.o below/\nobj-y += aside/\nsubdir-ccflags-y := -DFROM_TOP=1\n"
        "subdir-asflags-y := -DFROM_TOP=3\nccflags-y := -DONLY_TOP\n",
        "top.c": exporting(says("FROM_TOP", "ONLY_TOP") + "int top(void);int top(void){return 1;}EXPORT_SYMBOL(top);"),
        "below/Makefile": "obj-m := below.o deeper/ assembled.o\nassembled-y := body.o code.o\n",
        "below/below.c": exporting(
            says("FROM_TOP") + "int top(void); int below(void); int below(void){ return top(); }"
            "EXPORT_SYMBOL_GPL(below);\n#ifdef ONLY_TOP\n#error\n#endif"
        ),
        "below/body.c": module(),
        "below/code.S": ".data\n.long FROM_TOP\n",
        "below/deeper/Kbuild": "obj-y += deepest/\nobj-m += deeper.o\nsubdir-ccflags-y := -DFROM_DEEPER=2\n",
        "below/deeper/Makefile": "$(error Kbuild goes before Makefile)\n",
        "below/deeper/deeper.c": module(says("FROM_TOP", "FROM_DEEPER")),
        "below/deeper/deepest/Kbuild": "obj-m := deepest.o\nccflags-y += -I$(src)/include\n",
        "below/deeper/deepest/include/own.h": "#define OWN 7\n",
        "below/deeper/deepest/deepest.c": exporting(
            "#include <own.h>\n" + says("FROM_TOP", "FROM_DEEPER", "OWN") + "int below(void); int deepest(void);"
            "int deepest(void) { return below(); } EXPORT_SYMBOL(deepest);"
        ),
        "aside/Makefile": "obj-$(CONFIG_ASIDE) := aside.o\n",
        "aside/aside.c": module("int deepest(void); int aside(void); int aside(void) { return deepest(); }"),
    }
    ours = assert_same(tree, tmp_path / "m", sources, "CONFIG_ASIDE=m")
    assert "below/deeper/deepest/deepest.ko" in ours.files
    assert b"deepest" in ours.files["aside/aside.mod.c"]


@with_early
def test_flags_of_every_scope(tree: KernelTree, tmp_path: Path) -> None:
    check = "#ifdef ONLY_FIRST\n#error\n#endif\n#ifdef TAKEN_AWAY\n#error\n#endif\n"
    first = "#undef TAKEN_AWAY\n" + module(says("EVERYWHERE", "ONLY_FIRST", "WITH_SPACE", "FROM_KBUILD_CFLAGS"))
    sources = {
        "Kbuild": """\
obj-m := flags.o
flags-y := first.o sub/second.o third.o code.o
ccflags-y := -DEVERYWHERE=1 -DTAKEN_AWAY -DWITH_SPACE='"a  b"' -I$(src)/include
ccflags-y += $(call cc-option,-Wno-no-such-warning) $(call cc-disable-warning,unused-variable)
ccflags-remove-y := -DTAKEN_AWAY -O2
asflags-y := -DEVERYWHERE=2
ldflags-y := -z separate-code
CFLAGS_first.o := -DONLY_FIRST=3 -O3
CFLAGS_sub/second.o := -DONLY_SECOND=4
CFLAGS_REMOVE_third.o := -fno-strict-aliasing -DEVERYWHERE=1
AFLAGS_code.o := -DONLY_CODE=5
LDFLAGS_flags.o := --no-warn-mismatch
KBUILD_CFLAGS += -DFROM_KBUILD_CFLAGS=6
NOSTDINC_FLAGS += -I$(src)/before
""",
        "include/order.h": "#define ORDER 1\n",
        "before/order.h": "#define ORDER 2\n",
        "first.c": "#include <order.h>\n" + first + says("ORDER"),
        "sub/second.c": check
        + module(says("ONLY_SECOND", "ORDER")).replace("#define", "#include <order.h>\n#define", 1),
        "third.c": check + "#ifdef EVERYWHERE\n#error\n#endif\nint third(int *a, long *b); "
        "int third(int *a, long *b) { *a = 1; *b = 2; return *a; }\n",
        "code.S": ".data\n.long EVERYWHERE, ONLY_CODE\n",
    }
    assert_same(tree, tmp_path / "m", sources)


@with_early
def test_flags_from_the_command_line_and_the_old_names(
    tree: KernelTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_ENVIRONMENT", "env value")
    monkeypatch.setenv("KAFLAGS", "-DFROM_KAFLAGS=9")
    sources = {
        "Kbuild": """\
obj-m := old.o
old-y := main.o code.o
EXTRA_CFLAGS += -DFROM_EXTRA=1 -DHDAPS=$(HDAPS)
EXTRA_AFLAGS += -DFROM_EXTRA=2
ifdef CONFIG_MY_OPTION
ccflags-y += -DCONFIG_MY_OPTION=1
endif
ccflags-y += -DFROM_ENVIRONMENT='"$(FROM_ENVIRONMENT)"' -DDIRECTORY='"$(M):$(KBUILD_EXTMOD):$(src):$(obj)"'
ccflags-y += -DTREE='"$(notdir $(srctree))$(VERSION).$(PATCHLEVEL):$(KERNELRELEASE)"' -DPWD='"$(PWD):$(CURDIR)"'
""",
        "main.c": module(
            says("FROM_EXTRA", "HDAPS", "CONFIG_MY_OPTION", "FROM_ENVIRONMENT", "DIRECTORY", "TREE", "PWD", "FROM_K")
            + '#if IS_ENABLED(CONFIG_MY_OPTION)\nSAY(option, "on");\n#endif\n'
        ),
        "code.S": ".data\n.long FROM_EXTRA, FROM_KAFLAGS\n",
    }
    variables = [
        "HDAPS=1",
        "CONFIG_MY_OPTION=y",
        "KCFLAGS=-DFROM_K=8 -g1",
        "KCPPFLAGS=-DALL",
        "CFLAGS_MODULE=-DOFMODULE",
    ]
    assert_same(tree, tmp_path / "m", sources, *variables)


@with_early
def test_a_makefile_that_calls_kbuild_itself(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Makefile": """\
ifneq ($(KERNELRELEASE),)
include $(src)/fragment.mk
-include $(src)/missing.mk
include $(wildcard $(src)/conf.d/*.mk)
obj-m := dkms.o
dkms-y := $(patsubst $(src)/%.c,%.o,$(wildcard $(src)/parts/*.c)) $(shell echo main.o)
VERSION_TEXT := $(shell cat $(M)/VERSION)
ccflags-y += -DVERSION_TEXT='"$(VERSION_TEXT)"' -DHERE='"$(shell cd $(src) && pwd)"'
else
KDIR ?= /lib/modules/$(shell uname -r)/build
all:
	$(MAKE) -C $(KDIR) M=$(PWD) modules
clean:
	$(MAKE) -C $(KDIR) M=$(PWD) clean
endif
""",
        "fragment.mk": "ccflags-y += -DFRAGMENT=1\n",
        "conf.d/one.mk": "ccflags-y += -DCONF_D=2\n",
        "VERSION": "1.2.3\n",
        "main.c": module(says("FRAGMENT", "CONF_D", "VERSION_TEXT", "HERE")),
        "parts/a.c": "int part_a; extern int part_b; void *pa(void); void *pa(void) { return &part_b; }",
        "parts/b.c": "int part_b;",
        "notes.c": "#error nobody asked for this file",
    }
    assert_same(tree, tmp_path / "m", sources)


@with_early
def test_assembly_with_exports_and_their_crcs(tree: KernelTree, tmp_path: Path) -> None:
    export = "asm/export.h" if tree.version < (6, 4) else "linux/export.h"
    sources = {
        "Kbuild": "obj-m := assembly.o\nassembly-y := main.o code.o\nNOSTDINC_FLAGS += -I$(src)/include\n",
        "include/asm/asm-prototypes.h": "#include_next <asm/asm-prototypes.h>\nstruct task_struct;\n"
        "int assembly_one(int);\nlong assembly_two(struct task_struct *);\n",
        "main.c": module("int assembly_one(int); int one(void); int one(void) { return assembly_one(1); }"),
        "code.S": f"""\
#include <linux/linkage.h>
#include <{export}>
SYM_FUNC_START(assembly_one)
	movl $1, %eax
	RET
SYM_FUNC_END(assembly_one)
EXPORT_SYMBOL(assembly_one)
SYM_FUNC_START(assembly_two)
	xorl %eax, %eax
	RET
SYM_FUNC_END(assembly_two)
EXPORT_SYMBOL_GPL(assembly_two)
""",
    }
    ours = assert_same(tree, tmp_path / "m", sources)
    lines = ours.files["Module.symvers"].decode().splitlines()
    assert [line.split("\t")[1] for line in lines] == ["assembly_one", "assembly_two"]
    if tree.config.get("CONFIG_MODVERSIONS") == "y":
        assert not any(line.startswith("0x00000000") for line in lines), "no CRC came from the prototypes"


@with_early
def test_objects_that_come_with_the_sources(tree: KernelTree, tmp_path: Path) -> None:
    def lay_out(place: Path) -> None:
        write_sources(
            {
                "Kbuild": "obj-m := blobs.o whole.o\nblobs-y := main.o shipped.o prebuilt.o sub/nested.o\n",
                # An export and a version: modpost reads the record of each object for CRCs and srcversion.
                "main.c": exporting(
                    "int shipped(void);\nint prebuilt(void);\nint m(void);\n"
                    "int m(void) { return shipped() + prebuilt(); }\nEXPORT_SYMBOL(m);\n"
                    'SAY(version, "version=1");'
                ),
                # Who ships an object has to ship its record: without it Kbuild's modpost fails.
                ".prebuilt.o.cmd": "cmd_prebuilt.o := nothing\n",
                ".shipped.o.cmd": "cmd_shipped.o := nothing\n",
                "sub/.nested.o.cmd": "cmd_nested.o := nothing\n",
                ".whole.o.cmd": "cmd_whole.o := nothing\n",
            },
            place,
        )
        for name, code in (
            ("shipped.o_shipped", "int shipped(void) { return 1; }"),
            ("prebuilt.o", "int prebuilt(void) { return 2; }"),
            ("sub/nested.o_shipped", "int nested(void) { return 3; }"),
            ("whole.o_shipped", 'static const char l[] __attribute__((used, section(".modinfo"))) = "license=GPL";'),
        ):
            compiler = ["gcc", "-O2", "-fcf-protection=none", "-mcmodel=kernel", "-fno-pic", "-x", "c", "-"]
            run([*compiler, "-c", "-o", place / name], input=code.encode())

    [(oracle, ours)] = build_both(tree, lay_out, tmp_path / "m")
    assert_equal_or_refused(tree, oracle, ours)


def test_an_object_that_comes_without_its_record_is_refused(tree: KernelTree, tmp_path: Path) -> None:
    """Also where nothing is exported: modpost opens the record of every object where versions are wanted."""

    def lay_out(place: Path, records: tuple[str, ...]) -> None:
        sources = {
            "Kbuild": "obj-m := blobs.o\nblobs-y := main.o shipped.o prebuilt.o\n",
            "main.c": "int shipped(void);\nint prebuilt(void);\nint m(void);\n"
            f"int m(void) {{ return shipped() + prebuilt(); }}\n{module()}",
        }
        write_sources({**sources, **dict.fromkeys(records, "")}, place)
        for name in ("shipped.o_shipped", "prebuilt.o"):
            compiler = ["gcc", "-O2", "-fcf-protection=none", "-mcmodel=kernel", "-fno-pic", "-x", "c", "-"]
            code = f"int {name.partition('.')[0]}(void) {{ return 1; }}"
            run([*compiler, "-c", "-o", place / name], input=code.encode())

    if tree.config.get("CONFIG_MODVERSIONS") != "y":
        pytest.skip("a tree without versions")
    for lacking, there in (("shipped", ".prebuilt.o.cmd"), ("prebuilt", ".shipped.o.cmd")):
        [(oracle, ours)] = build_both(tree, partial(lay_out, records=(there,)), tmp_path / "m")
        assert (oracle.status, ours.status) == (2, 1)
        said = f"{tmp_path}/m/.{lacking}.o.cmd: No such file or directory"
        assert said in oracle.output
        assert said in ours.output
    # As the hint says, an empty one will do.
    whole = partial(lay_out, records=(".prebuilt.o.cmd", ".shipped.o.cmd"))
    [(oracle, ours)] = build_both(tree, whole, tmp_path / "m")
    assert_equal_or_refused(tree, oracle, ours)


@pytest.mark.parametrize("name", ["x=y/=z", *swept("a=b", "st*r", "~{a}[b")])
def test_directories_with_odd_names_that_make_builds_in(name: str, tree: KernelTree, tmp_path: Path) -> None:
    sources = {"Kbuild": "obj-m := one.o sub/two.o\n", "one.c": module("SAY(file, __FILE__);"), "sub/two.c": module()}
    assert_same(tree, tmp_path / name, sources)


@pytest.mark.parametrize("name", ["a?b", "a*b", "a[bx]b"])
def test_a_directory_whose_name_is_a_pattern_for_another_is_refused(
    name: str, tree: KernelTree, tmp_path: Path
) -> None:
    if tree.version >= (6, 13):
        pytest.skip("Kbuild runs in the directory")
    for place in (tmp_path / name, tmp_path / "axb"):
        write_sources({"Kbuild": "obj-m := one.o\n", "one.c": module()}, place)
    # make builds the other one, or this one, as the file system lists the two.
    make(tree, tmp_path / name)
    assert [place for place in (tmp_path / name, tmp_path / "axb") if (place / "one.o").exists()]
    done = kbuildpy("build", tmp_path / name, "-k", tree.objects)
    assert done.returncode == 2
    said = f"{tmp_path / name}: make takes the path for a pattern, which matches {tmp_path / 'axb'}"
    assert said in done.text + done.error_text


@with_early
def test_non_standard_objects_are_left_alone_by_objtool(tree: KernelTree, tmp_path: Path) -> None:
    code = 'void odd(void);\nvoid odd(void) { asm volatile("push %rbp"); }\n'
    sources = {
        "Kbuild": "obj-m := odd.o all/\nodd-y := main.o strange.o\nOBJECT_FILES_NON_STANDARD_strange.o := y\n"
        "KASAN_SANITIZE := n\nKCOV_INSTRUMENT_main.o := n\nUBSAN_SANITIZE_strange.o := n\n",
        "main.c": module(),
        "strange.c": code,
        "all/Makefile": "OBJECT_FILES_NON_STANDARD := y\nobj-m := every.o\n",
        "all/every.c": module(code),
    }
    assert_same(tree, tmp_path / "m", sources)


@pytest.mark.sweep
def test_modpost_goes_through_nested_subdirectories_in_the_order_of_modules_order(
    tree: KernelTree, tmp_path: Path
) -> None:
    def source(name: str) -> str:
        return exporting(f"int f_{name}(void); int nowhere(void); int f_{name}(void) {{ return nowhere(); }}") + (
            f"EXPORT_SYMBOL(f_{name});\n"
        )

    sources = {
        "Kbuild": "obj-m += last.o\nobj-y += src/\nobj-m += first.o src/deep/\n",
        "last.c": source("last"),
        "first.c": source("first"),
        "src/Kbuild": "obj-m += a.o\nobj-y += sub/ sub2/\n",
        "src/a.c": source("a"),
        "src/sub/Kbuild": "obj-m += b.o\nobj-y += under/\n",
        "src/sub/b.c": source("b"),
        "src/sub/under/Kbuild": "obj-m += d.o\n",
        "src/sub/under/d.c": source("d"),
        "src/sub2/Kbuild": "obj-m += c.o\n",
        "src/sub2/c.c": source("c"),
        "src/deep/Kbuild": "obj-m += e.o\n",
        "src/deep/e.c": source("e"),
    }
    [(oracle, ours)] = both(tree, tmp_path / "m", sources, "KBUILD_MODPOST_WARN=1")
    assert_equal(oracle, ours)
    # (the build's own check says of each module that it is not loadable so, and its help where the symbol is used)
    ours_alone = ("would refuse it", "kbuildpy: help: ")
    said = [
        [
            line
            for line in build.output.splitlines()
            if "nowhere" in line and not any(map(line.__contains__, ours_alone))
        ]
        for build in (oracle, ours)
    ]
    assert said[0]
    assert said[1] == said[0]


@pytest.mark.parametrize("release", [tree.release for tree in trees()])
def test_a_header_that_is_found_in_two_ways_counts_in_srcversion_as_fixdep_counts_it(
    release: str, tmp_path: Path
) -> None:
    sources = {
        "Kbuild": "obj-m := twice.o\nccflags-y := -I$(src)\n",
        "twice.h": "int found(void);\n",
        "twice.c": '#include "twice.h"\n#include <twice.h>\n#include "other.h"\n#include "twice.h"\n'
        + module('SAY(version, "version=1");'),
        "other.h": "#include <twice.h>\n",
    }
    [(oracle, ours)] = both(tree_of_release(release), tmp_path / "m", sources)
    assert_equal(oracle, ours)
    assert b"srcversion=" in ours.files["twice.ko"]


@pytest.mark.parametrize("release", [*newest_tree_first(), *swept("7.3")])
def test_the_headers_that_srcversion_counts_are_those_beside_the_objects_as_the_mod_file_names_them(
    release: str, tmp_path: Path
) -> None:
    tree = newer_kernel()[0] if release == "7.3" else tree_of_release(release)
    sources = {
        "src/Kbuild": "obj-m := far.o sub/\nccflags-y := -I$(src)/sub\n"
        "far-y := far_main.o sub/part.o ../near/other.o\n",
        "src/far_main.c": '#include "../above.h"\n#include "beside.h"\n' + module('SAY(version, "version=1");'),
        "src/beside.h": "int beside(void);\n",
        "above.h": "int above(void);\n",
        "src/sub/Kbuild": "obj-m := low.o\nlow-y := low_main.o\nccflags-y := -I$(src)\n",
        "src/sub/low_main.c": '#include "part.h"\n#include <found.h>\n' + module('SAY(version, "version=2");'),
        "src/sub/part.c": '#include "part.h"\n#include <found.h>\nint part(void); int part(void) { return 1; }\n',
        "src/sub/part.h": "int in_part(void);\n",
        "src/sub/found.h": "int found(void);\n",
        "near/other.c": '#include "other.h"\nint other(void); int other(void) { return 1; }\n',
        "near/other.h": "int in_other(void);\n",
    }

    def lay_out(place: Path) -> None:
        for name, text in sources.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)

    [(oracle, ours)] = build_both(tree, lay_out, tmp_path / "m", steps=[("src", ())])
    assert_equal(oracle, ours)
    assert all(b"srcversion=" in ours.files[name] for name in ("far.ko", "sub/low.ko"))


@with_early
def test_exports_with_namespaces_between_subdirectories(tree: KernelTree, tmp_path: Path) -> None:
    def quoted(name: str) -> str:
        return f'"{name}"' if tree.version >= (6, 13) else name

    # (6.12.117 expects the default namespace as a string, as 6.13 does.)
    default = "WHOLE" if tree.version < (6, 12) else "'\"WHOLE\"'"
    sources = {
        "Kbuild": "obj-m := user/ lib/\n",
        "lib/Kbuild": f"obj-m := provider.o\nccflags-y := -DDEFAULT_SYMBOL_NAMESPACE={default}\n",
        "lib/provider.c": exporting(
            "struct thing { int a; long b; }; int give(struct thing *t); int give(struct thing *t) { return t->a; }\n"
            f"int take(void); int take(void) {{ return 1; }}\nEXPORT_SYMBOL_NS_GPL(give, {quoted('GIVING')});\n"
            "EXPORT_SYMBOL(take);\n"
        ),
        "user/Kbuild": "obj-m := user.o\n",
        "user/user.c": module(
            'SAY(giving, "import_ns=GIVING"); SAY(whole, "import_ns=WHOLE");'
            "struct thing; int give(struct thing *); int take(void); int use(void);\n"
            "int use(void) { return give(0) + take(); }\n"
        ),
    }
    ours = assert_same(tree, tmp_path / "m", sources)
    assert b"GIVING" in ours.files["Module.symvers"]
    assert b'MODULE_INFO(depends, "provider")' in ours.files["user/user.mod.c"]


@with_early
def test_extra_symbols_from_another_directory(tree: KernelTree, tmp_path: Path) -> None:
    place = tmp_path / "m"
    named = f"{place}/provider/Module.symvers"
    user = module("int give(void); int use(void); int use(void) { return give(); }")
    sources = {
        "provider/Kbuild": "obj-m := provider.o\n",
        "provider/provider.c": exporting("int give(void); int give(void) { return 1; } EXPORT_SYMBOL_GPL(give);"),
        "one/Kbuild": f"obj-m := one.o\nKBUILD_EXTRA_SYMBOLS := {named}\n",
        "one/one.c": user,
        "two/Kbuild": "obj-m := two.o\n",
        "two/two.c": user,
    }
    steps = [("provider", []), ("one", []), ("two", [f"KBUILD_EXTRA_SYMBOLS={named}"])]
    for oracle, ours in both(tree, place, sources, steps=steps):
        assert_equal(oracle, ours)
        texts = b"".join(ours.files[name] for name in ours.names(".mod.c"))
        assert "provider.ko" in ours.files or b'MODULE_INFO(depends, "provider")' in texts


@with_early
def test_sources_outside_of_the_module_directory(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "common/shared.c": '#include "shared.h"\nint shared(void) { return SHARED; }\n',
        "common/shared.h": "#define SHARED 1\nint shared(void);\n",
        "drv/Kbuild": "obj-m := drv.o\ndrv-y := main.o ../common/shared.o\nccflags-y := -I$(src)/../common\n",
        "drv/main.c": module('#include "shared.h"\nint use(void); int use(void) { return shared(); }'),
    }
    [(oracle, ours)] = both(tree, tmp_path / "m", sources, steps=[("drv", [])])
    assert_equal(oracle, ours)


@with_early
def test_a_trace_header_of_the_modules_own(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": "obj-m := traced.o\ntraced-y := main.o trace.o\nCFLAGS_trace.o := -I$(src)\n",
        "main.c": module(
            '#include "trace.h"\nint enter(int v); int enter(int v) { trace_entered(v); pr_debug("v %d\\n", v); '
            "return 0; }",
            header="linux/printk.h",
        ),
        "trace.c": '#define CREATE_TRACE_POINTS\n#include "trace.h"\n',
        "trace.h": """\
#undef TRACE_SYSTEM
#define TRACE_SYSTEM traced
#if !defined(_TRACED_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACED_H
#include <linux/tracepoint.h>
TRACE_EVENT(entered, TP_PROTO(int value), TP_ARGS(value),
	TP_STRUCT__entry(__field(int, value)),
	TP_fast_assign(__entry->value = value;),
	TP_printk("value %d", __entry->value));
#endif
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
""",
    }
    ours = assert_same(tree, tmp_path / "m", sources)
    assert b"__tracepoint_entered" in ours.files["traced.ko"]


@with_early
def test_file_and_line_in_messages_are_makes(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": "obj-m := where.o\nwhere-y := main.o sub/other.o\n",
        "main.c": module(
            "const char *where(void); const char *where(void) { BUG_ON(!where); WARN_ON(1); return __FILE__; }",
            header="linux/bug.h",
        ),
        "sub/other.c": '#include "own.h"\nconst char *other(void) { return __FILE__ HEADER; }\n',
        "sub/own.h": "#define HEADER __FILE__\nconst char *other(void);\nstatic inline const char *in(void) "
        "{ return __FILE__; }\n",
    }
    ours = assert_same(tree, tmp_path / "m", sources)
    assert str(tmp_path).encode() in ours.files["where.ko"]


@with_early
def test_objects_built_in_or_in_libraries_are_no_modules(tree: KernelTree, tmp_path: Path) -> None:
    sources = {
        "Kbuild": "obj-m := real.o\nobj-y += builtin.o\nlib-y += library.o\nextra-y += extra.o\n",
        "real.c": module(),
        "builtin.c": "int builtin_one;",
        "library.c": "int library_one;",
        "extra.c": "int extra_one;",
    }
    ours = assert_same(tree, tmp_path / "m", sources)
    assert ours.names(".ko") == ["real.ko"]


@with_early
def test_modules_of_many_sources_are_linked_in_order(tree: KernelTree, tmp_path: Path) -> None:
    names = [f"part{number:03}" for number in range(12)]
    sources = {
        "Kbuild": f"obj-m := many.o\nmany-y := main.o {' '.join(f'{name}.o' for name in reversed(names))}\n",
        "main.c": module(),
        **{f"{name}.c": f"int {name} = 1;\n" for name in names},
    }
    assert_same(tree, tmp_path / "m", sources)


@with_early
def test_nothing_to_build_is_an_error_and_leaves_what_make_does(tree: KernelTree, tmp_path: Path) -> None:
    sources = {"Kbuild": "obj-$(CONFIG_NOT_SET) += absent.o\n", "absent.c": "#error"}
    [(oracle, ours)] = both(tree, tmp_path / "m", sources)
    # (make succeeds, and nobody notices; `--allow-empty` does the same)
    assert (oracle.status, ours.status) == (0, 1)
    assert ours.files["modules.order"] == oracle.files["modules.order"] == b""
