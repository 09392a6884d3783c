# SPDX-License-Identifier: GPL-2.0-only
"""From the records of make to a plan.

The records are those that make prints for scripts/Makefile.build of 6.12, where a test names no other kernel: the
object directory in every name, the parts of a composite module after its `.mod` file, `FORCE` left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kbuild.make_output import MAKEFILES
from kbuildpy.kbuild.parse_plan import DirectoryOutput, parse_plan
from kbuildpy.kbuild.plan import BuildStep, ModulePlan, ObjectPlan, Plan, plan_from_json, plan_to_json
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kernel.tree import KernelTree

Record = dict[str, str]
STEP = BuildStep("modpost", "", "")


def tree_answer(place: Path) -> TreeAnswer:
    """The answer of a tree below `place`; a plan depends on where the tree is, and on nothing else in it."""
    tree = KernelTree(place / "linux-headers-6.12-amd64", place / "linux-headers-6.12-common", "6.12")
    return TreeAnswer(
        tree, "/placeholder", {}, False, STEP, (), "", "", (), (), (), "", {}, (), (), "identity"
    )  # fmt: skip


def directory(obj: str, modules: str = "", *, makefiles: str = "", extra: str = "") -> Record:
    """What mk/directory.mk prints of a directory that make read."""
    return {"directory": obj, "makefiles": makefiles, "extra-symbols": extra, "modules": modules}


def record(rule: str, target: str, *needs: str, command: str = "") -> Record:
    """What mk/record.mk prints of a command."""
    source = needs[0] if needs else "FORCE"
    quiet = f"RULE [M]  {target}"
    return {
        "rule": rule,
        "target": target,
        "source": source,
        "needs": " ".join(needs),
        "quiet": quiet,
        "command": command,
    }


def order(obj: str, *lines: str) -> Record:
    text = " ".join(f"{line};" for line in lines)
    return record("gen_order", f"{obj}/modules.order", command=f"{{ {text} :; }} > {obj}/modules.order")


def compiled(obj: str, name: str, *, command: str = "gcc") -> Record:
    return record("cc_o_c", f"{obj}/{name}.o", f"{obj}/{name}.c", command=command)


def linked(obj: str, name: str, *parts: str) -> Record:
    objects = [f"{obj}/{part}.o" for part in parts]
    return record("ld_multi_m", f"{obj}/{name}.o", f"{obj}/{name}.mod", *objects, command="ld -r")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The module directory."""
    (tmp_path / "drv").mkdir()
    return tmp_path / "drv"


def plan_of(
    place: Path,
    records: Sequence[Record],
    *,
    recipes: str = "",
    obj: str | None = None,
    warnings: str = "",
    tree_makefiles: tuple[str, ...] = (),
) -> Plan:
    output = DirectoryOutput(
        directory=place,
        cwd=str(place) if obj == "." else str(place.parent),
        obj=str(place) if obj is None else obj,
        records=records,
        recipes=recipes,
        warnings=warnings,
        overlay=None,
    )
    return parse_plan(replace(tree_answer(place.parent), makefiles=tree_makefiles), output)


def test_a_composite_module_is_linked_from_its_parts_in_the_order_of_its_prerequisites(place: Path) -> None:
    obj = str(place)
    module = linked(obj, "many", "b", "a")
    after = record("objtool", f"{obj}/many.o", command="objtool")
    records = [
        directory(obj, f"{obj}/many.o"),
        compiled(obj, "a"),
        compiled(obj, "b"),
        module,
        after,
        order(obj, f"echo {obj}/many.o"),
    ]
    plan = plan_of(place, records)
    [found] = plan.modules
    assert found.parts == found.objects == (f"{obj}/b.o", f"{obj}/a.o")
    assert found.name == f"{obj}/many"
    assert [step.rule for step in found.steps] == ["ld_multi_m", "objtool"]
    assert [one.target for one in plan.objects] == [f"{obj}/b.o", f"{obj}/a.o"]
    assert not plan.custom


def test_a_module_of_one_object_is_that_object_and_is_not_linked(place: Path) -> None:
    obj = str(place)
    compile_it, check = compiled(obj, "solo", command="gcc solo"), record("objtool", f"{obj}/solo.o", command="objtool")
    plan = plan_of(place, [directory(obj, f"{obj}/solo.o"), compile_it, check, order(obj, f"echo {obj}/solo.o")])
    assert plan.modules == (ModulePlan(f"{obj}/solo.o", (), ()),)
    assert plan.modules[0].objects == plan.modules[0].listed_objects == (f"{obj}/solo.o",)
    steps = (
        BuildStep("cc_o_c", f"RULE [M]  {obj}/solo.o", "gcc solo"),
        BuildStep("objtool", f"RULE [M]  {obj}/solo.o", "objtool"),
    )
    assert plan.objects == (ObjectPlan(f"{obj}/solo.o", f"{obj}/solo.c", steps),)


def test_an_object_that_two_modules_have_is_compiled_once(place: Path) -> None:
    obj = str(place)
    records = [
        directory(obj, f"{obj}/one.o {obj}/two.o"),
        compiled(obj, "both"),
        linked(obj, "one", "both"),
        linked(obj, "two", "both"),
    ]
    assert [one.target for one in plan_of(place, records).objects] == [f"{obj}/both.o"]


def test_a_module_that_is_named_twice_is_one(place: Path) -> None:
    """Kbuild takes `obj-m := a.o a.o` as one, for a target of make's is one; nor is that a conflict of names."""
    obj = str(place)
    records = [directory(obj, f"{obj}/a.o {obj}/a.o"), compiled(obj, "a"), order(obj, f"echo {obj}/a.o")]
    assert [module.target for module in plan_of(place, records).modules] == [f"{obj}/a.o"]


def test_modules_come_in_the_order_of_modules_order_and_not_in_that_of_directories(place: Path) -> None:
    """Make reads the directory's own Kbuild file first; modules.order has a subdirectory where obj-m has it."""
    obj = str(place)
    records = [
        directory(obj, f"{obj}/last.o"),
        directory(f"{obj}/sub", f"{obj}/sub/first.o"),
        order(f"{obj}/sub", f"echo {obj}/sub/first.o"),
        order(obj, f"cat {obj}/sub/modules.order", f"echo {obj}/last.o"),
        compiled(obj, "last"),
        compiled(f"{obj}/sub", "first"),
    ]
    plan = plan_of(place, records)
    assert [module.name for module in plan.modules] == [f"{obj}/sub/first", f"{obj}/last"]
    assert plan.orders == (
        (f"{obj}/modules.order", f"{obj}/sub/first.o\n{obj}/last.o\n"),
        (f"{obj}/sub/modules.order", f"{obj}/sub/first.o\n"),
    )
    assert plan.listed == (str(place), f"{place}/sub")


def test_names_are_relative_where_kbuild_runs_in_the_modules_directory(place: Path) -> None:
    """From 6.13 on obj is `.`: make drops the `./` of targets, and the `.mod` file keeps it (cmd_mod)."""
    awk = """printf '%s\\n'   hello.o | awk '!x[$0]++ { print("./"$0) }' > hello.mod"""
    records = [
        directory(".", "hello.o"),
        compiled(".", "hello") | {"target": "hello.o", "source": "./hello.c"},
        record("mod", "hello.mod", command=awk),
        record("gen_order", "modules.order", "hello.o", command="{ echo ./hello.o; :; } > modules.order"),
    ]
    plan = plan_of(place, records, obj=".")
    assert plan.orders == (("modules.order", "./hello.o\n"),)
    [module] = plan.modules
    assert (module.objects, module.listed_objects) == (("hello.o",), ("./hello.o",))
    assert plan.directory == str(place)
    assert plan.listed == (str(place),)


def test_names_in_the_mod_file_are_as_they_are_before_6_13(place: Path) -> None:
    obj = str(place)
    awk = f"""printf '%s\\n'   a.o | awk '!x[$0]++ {{ print("{obj}/"$0) }}' > {obj}/a.mod"""
    records = [directory(obj, f"{obj}/a.o"), compiled(obj, "a"), record("mod", f"{obj}/a.mod", command=awk)]
    assert plan_of(place, records).modules[0].listed_objects == (f"{obj}/a.o",)


def test_two_modules_of_one_name_are_refused_in_the_words_of_modules_check(place: Path) -> None:
    obj = str(place)
    records = [directory(obj, f"{obj}/drv.o {obj}/other.o"), directory(f"{obj}/sub", f"{obj}/sub/drv.o")]
    with pytest.raises(KbuildError) as refused:
        plan_of(place, records)
    assert refused.value.message == (
        f"the following would cause module name conflict:\n  {obj}/drv.ko\n  {obj}/sub/drv.ko"
    )
    assert refused.value.hint == f"rename one of the modules called drv in {place}"


# --- Objects that no rule of Kbuild's compiles.


def test_an_object_that_is_shipped_is_copied(place: Path) -> None:
    """scripts/Makefile.lib: `$(obj)/%: $(src)/%_shipped`, cmd_copy. Where make copied it already, or would not, there
    is no record."""
    obj = str(place)
    (place / "blob.o_shipped").write_text("object")
    (place / "blob.o").write_text("copied by an earlier build")
    step = BuildStep("copy", f"COPY    {obj}/blob.o", "")
    [found] = plan_of(place, [directory(obj, f"{obj}/blob.o")]).objects
    assert found == ObjectPlan(f"{obj}/blob.o", f"{obj}/blob.o_shipped", (step,))
    copied = record("copy", f"{obj}/blob.o", f"{obj}/blob.o_shipped", command="cat")
    plan = plan_of(place, [directory(obj, f"{obj}/blob.o"), copied])
    assert plan.objects[0].source == f"{obj}/blob.o_shipped"
    assert [step.command for step in plan.objects[0].steps] == ["cat"]
    assert not plan.custom


def test_an_object_that_came_with_the_sources_is_its_own_source(place: Path) -> None:
    (place / "blob.o").write_text("object")
    assert plan_of(place, [directory(str(place), f"{place}/blob.o")]).objects == (
        ObjectPlan(f"{place}/blob.o", f"{place}/blob.o", ()),
    )


def test_an_object_that_nothing_tells_of_may_be_made_by_a_rule_of_the_kbuild_files_own(place: Path) -> None:
    plan = plan_of(place, [directory(str(place), f"{place}/made.o")])
    assert plan.objects == (ObjectPlan(f"{place}/made.o", "", ()),)
    assert plan.listed == (str(place),), "no source, so no directory of one"


def test_an_object_from_rust_is_compiled_by_one_command(place: Path) -> None:
    rust = record("rustc_o_rs", f"{place}/oxide.o", f"{place}/oxide.rs", command="rustc; objtool")
    records = [directory(str(place), f"{place}/oxide.o"), rust, order(str(place), f"{place}/oxide.o")]
    (found,) = plan_of(place, records).objects
    step = BuildStep("rustc_o_rs", f"RULE [M]  {place}/oxide.o", "rustc; objtool")
    assert found == ObjectPlan(f"{place}/oxide.o", f"{place}/oxide.rs", (step,))


# --- What make has to carry out itself.

DESCENT = "make -f MK/directory.mk obj=DRV/sub \\\nneed-builtin= \\\nneed-modorder=1 \\\n\n"
LONG_DESCENT = "/usr/bin/make -f MK/directory.mk obj=DRV/sub \\\nnm own.o > x \\\nneed-modorder=1\n"


@pytest.mark.parametrize(
    ("recipes", "custom"),
    [
        ("", False),
        (":\n@:\n\n  :\n", False),
        (DESCENT, False),
        (LONG_DESCENT, False),
        ("gmake -f MK/directory.mk obj=DRV/sub\n:\n", False),
        ("make: Nothing to be done for 'all'.\nmake[1]: Entering directory '/x'\n", False),
        ("touch DRV/gen.h\n", True),
        ("make -C DRV/firmware\n", True),
        ("echo directory.mk obj=DRV\n", True),
        (DESCENT + "touch DRV/gen.h\n", True),
        ("gmake -f MK/directory.mk obj=DRV/sub\ntouch DRV/gen.h\n", True),
        (":\ntouch DRV/gen.h\n:\n", True),
    ],
)
def test_a_recipe_that_is_no_descent_of_ours_is_makes(recipes: str, custom: bool, place: Path) -> None:
    """`make -n` prints every recipe: `:` for what a record tells, the descents, and the Kbuild file's own."""
    text = recipes.replace("MK", str(MAKEFILES)).replace("DRV", str(place))
    assert plan_of(place, [directory(str(place))], recipes=text).custom == custom


@pytest.mark.parametrize(
    ("made", "custom"),
    [
        (record("host-csingle", "DRV/tool", "DRV/tool.c", command="gcc"), True),
        (record("copy", "DRV/data", "DRV/data_shipped", command="cat"), True),
        (record("copy", "DRV/part.o", "DRV/part.o_shipped", command="cat"), False),
        (record("copy", "DRV/drv.o", "DRV/drv.o_shipped", command="cat"), False),
        (record("shipped-rule", "DRV/part.o", command="cat"), True),
        (record("checksrc", "DRV/part.o", command="sparse"), False),
        (record("mod", "DRV/drv.mod", command="printf"), False),
    ],
)
def test_a_rule_that_is_not_carried_out_here_is_makes(made: Record, custom: bool, place: Path) -> None:
    obj = str(place)
    made = {name: value.replace("DRV", obj) for name, value in made.items()}
    records = [directory(obj, f"{obj}/drv.o"), linked(obj, "drv", "part"), made]
    assert plan_of(place, records).custom == custom


def test_make_makes_what_rules_of_the_kbuild_files_own_read_and_all_that_is_below(place: Path) -> None:
    """`gen.h: many.o` with a recipe that reads another object, of which make says nothing but the recipe's text."""
    obj = str(place)
    records = [
        directory(obj, f"{obj}/many.o {obj}/solo.o {obj}/free.o"),
        compiled(obj, "a"),
        compiled(obj, "b"),
        linked(obj, "many", "a", "b"),
        record("mod", f"{obj}/many.mod", command="printf"),
        compiled(obj, "solo"),
        compiled(obj, "free"),
        record("gen", f"{obj}/gen.h", f"{obj}/many.o", f"{obj}/tool", command="gen"),
    ]
    plan = plan_of(place, records, recipes=f"(nm '{obj}/solo.o'>{obj}/list)\n")
    assert plan.needed == tuple(f"{obj}/{name}" for name in ("a.o", "b.o", "many.mod", "many.o", "solo.o"))
    assert plan.custom
    assert plan_of(place, records[:-1]).needed == ()


def test_a_circle_of_needs_ends(place: Path) -> None:
    obj = str(place)
    records = [
        directory(obj),
        record("cc_o_c", f"{obj}/a.o", f"{obj}/b.o"),
        record("cc_o_c", f"{obj}/b.o", f"{obj}/a.o"),
    ]
    assert plan_of(place, records, recipes=f"nm {obj}/a.o\n").needed == (f"{obj}/a.o", f"{obj}/b.o")


# --- What the answer depends on.


def test_the_makefiles_of_the_tree_and_ours_are_not_the_modules(place: Path) -> None:
    top = place.parent
    own = f"{top}/linux-headers-6.12-common-notes/more.mk"
    names = [
        f"{MAKEFILES}/directory.mk",
        f"{top}/linux-headers-6.12-common/scripts/Makefile.build",
        "linux-headers-6.12-amd64/include/config/auto.conf",
        f"{place}/Kbuild",
        own,
    ]
    records = [directory(str(place), makefiles=" ".join(names)), directory(f"{place}/sub", makefiles="drv/sub/Kbuild")]
    asked = f"{top}/linux-headers-6.12-amd64/include/config/auto.conf"
    plan = plan_of(place, records, tree_makefiles=(asked,))
    assert plan.makefiles == (f"{place}/Kbuild", f"{place}/sub/Kbuild", own)
    # What the tree's answer does not depend on is the module's, wherever it is.
    assert asked in plan_of(place, records).makefiles


def test_a_module_directory_may_be_below_the_kernel_tree(tmp_path: Path) -> None:
    source = tmp_path / "linux-headers-6.12-common"
    place = source / "drivers/drv"
    place.mkdir(parents=True)
    (place / "Kbuild").write_text("obj-m := $(shell cat list)\n")
    (source / "shared.mk").write_text("x := $(shell true)\n")
    records = [directory(str(place), makefiles=f"{place}/Kbuild {source}/shared.mk {source}/scripts/Makefile.build")]
    output = DirectoryOutput(place, str(tmp_path), str(place), records, "", "", None)
    plan = parse_plan(tree_answer(tmp_path), output)
    assert plan.makefiles == (f"{place}/Kbuild", f"{source}/shared.mk")
    assert plan.changeable
    (place / "Kbuild").write_text("obj-m := a.o\n")
    assert not parse_plan(tree_answer(tmp_path), output).changeable, "the tree's own makefiles ask all the time"


@pytest.mark.parametrize(
    ("text", "changeable"),
    [
        ("obj-m := a.o\n", False),
        ("obj-m := $(shell ls)\n", True),
        ("obj-m := ${wildcard *.c}\n", True),
        ("X != date\n", True),
        ("include common.mk\n", False),
        ("-include common.mk\n", True),
        ("obj-m := a.o\n  sinclude common.mk\n", True),
        ("ccflags-y := -include common.h\n", False),
        ("obj-m := shell.o wildcard.o\n", False),
    ],
)
def test_a_kbuild_file_that_asks_the_shell_or_the_disk_can_change_its_mind(
    text: str, changeable: bool, place: Path
) -> None:
    (place / "Kbuild").write_text(text)
    assert plan_of(place, [directory(str(place), makefiles=f"{place}/Kbuild")]).changeable == changeable


def test_a_makefile_that_cannot_be_read_any_more_can_change(place: Path) -> None:
    assert plan_of(place, [directory(str(place), makefiles=f"{place}/gone.mk")]).changeable


def test_extra_symbols_are_those_of_the_directory_itself(place: Path) -> None:
    """scripts/Makefile.modpost includes the Kbuild file of the module directory alone."""
    records = [directory(str(place), extra="../a.symvers /b.symvers"), directory(f"{place}/sub", extra="/c.symvers")]
    assert plan_of(place, records).extra_symbols == ("../a.symvers", "/b.symvers")
    assert plan_of(place, []).extra_symbols == ()


def test_a_plan_is_the_same_after_it_was_kept_as_json(place: Path) -> None:
    obj = str(place)
    records = [
        directory(obj, f"{obj}/many.o", makefiles=f"{place}/Kbuild", extra="/a.symvers"),
        compiled(obj, "a"),
        linked(obj, "many", "a"),
        record("mod", f"{obj}/many.mod", command='print("./")'),
        order(obj, f"echo {obj}/many.o"),
    ]
    plan = plan_of(place, records, recipes=f"nm {obj}/a.o\n", warnings="make: warning\n")
    assert plan.warnings == "make: warning\n"
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan
