# SPDX-License-Identifier: GPL-2.0-only
"""What SCons offers beside building holds for modules: cleaning, dry runs, variants, its graph."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.builds import kbuildpy
from tests.support.kernel_trees import swept, usual_tree
from tests.support.keys import write_pair
from tests.support.scons_project import ALONE, HEAD, PAIR, SConsProject, new_project

pytestmark = pytest.mark.parity

MODULE = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\n'
# A Kbuild file with a rule of its own, which make carries out.
OWN_RULE = {
    "SConstruct": f"{HEAD}env.Kbuild('drv')\n",
    "drv/Kbuild": (
        "obj-m := ruled.o\nruled-y := main.o gen.o\n"
        "$(obj)/gen.c: $(src)/gen.in\n\tcp $< $@\ntargets += gen.c\n$(obj)/gen.o: $(obj)/gen.c\n"
    ),
    "drv/main.c": MODULE,
    "drv/gen.in": "int generated = 1;\n",
}


def test_cleaning_removes_all_that_was_made_and_no_source(pair: SConsProject) -> None:
    sources = {name for name in pair.listing() if not name.startswith("build/")}
    pair.scons("-c")
    assert set(pair.listing()) == sources
    pair.build()
    pair.assert_like_clean()


def test_cleaning_twice_or_before_the_first_build_is_no_error(tmp_path: Path) -> None:
    project = new_project(tmp_path, PAIR)
    for _ in range(2):
        project.scons("-c")
        assert not [name for name in project.listing() if name.startswith("build/")]


@pytest.mark.parametrize("default", ["", "env.Default(kos)\n"], ids=["all", "modules"])
def test_cleaning_takes_verdicts_reports_signed_modules_and_empty_folders(default: str, tmp_path: Path) -> None:
    declared = (
        "kos = env.Kbuild('drv')\nenv.CheckModule(kos)\nenv.RunModule(kos[0])\n"
        f"env.SignModule(kos, key='rsa2048.pem')\n{default}"
    )
    project = new_project(tmp_path, PAIR | {"SConstruct": HEAD + declared, "mine/kept": ""})
    write_pair(project.place, "rsa2048")
    sources = set(project.listing())
    out = f"build/{usual_tree().release}/drv"
    project.scons("-j2", ".")
    for name in ("pair.run.log", "pair.run-failed.log", "pair.ko.check-failed"):
        assert not (project.place / out / name).exists()
        project.write(f"{out}/{name}", "")
    assert (project.place / out / "signed/pair.ko").exists()
    project.scons("-c", "run")
    assert {"pair.ko", "user.ko"} <= {path.name for path in (project.place / out).iterdir()}
    assert not (project.place / out / "pair.run-failed.log").exists()
    project.write(f"{out}/pair.run-failed.log", "")
    project.scons("-c")
    assert set(project.listing()) - {".sconsign.dblite"} == sources
    assert not (project.place / "build").exists()


def test_cleaning_the_command_lines_build_leaves_nothing(tmp_path: Path) -> None:
    project = new_project(tmp_path, OWN_RULE)
    sources = set(project.listing())
    words: list[str | Path] = ["build", project.place / "drv", "-k", project.kdir]
    # (not in this checkout: Python would take its kbuildpy there, and an installed one below)
    elsewhere = project.place
    assert kbuildpy(*words, cwd=elsewhere).returncode == 0
    assert f"scons: `{project.place / 'drv'}' is up to date." in kbuildpy(*words, cwd=elsewhere).text
    here = kbuildpy("build", "-k", project.kdir, cwd=project.place / "drv")
    assert "scons: `.' is up to date." in here.text
    assert kbuildpy(*words, "-c", cwd=elsewhere).returncode == 0
    assert set(project.listing()) == sources


@pytest.mark.parametrize("files", [PAIR, ALONE, OWN_RULE], ids=["Kbuild", "KernelModule", "own rule"])
def test_a_dry_run_says_what_would_be_done_and_writes_nothing(files: dict[str, str], tmp_path: Path) -> None:
    project = new_project(tmp_path, files)
    before = project.listing()
    did = project.scons("-n").did
    # (An empty .sconsign.dblite is SCons' own, in every dry run.)
    assert {name: seen for name, seen in project.listing().items() if name != ".sconsign.dblite"} == before
    assert not (project.place / "build").exists()
    assert [line for line in did if line.startswith("CC [M]")] and "MODPOST Module.symvers" in did


@pytest.mark.parametrize("files", [PAIR, *swept(ALONE, OWN_RULE)], ids=["Kbuild", "KernelModule", "own rule"])
def test_a_dry_run_over_a_build_writes_nothing(files: dict[str, str], tmp_path: Path) -> None:
    project = new_project(tmp_path, files)
    project.build()
    before = project.listing()
    assert "is up to date" in project.scons("-n").output
    (name,) = [name for name in files if name.endswith(("pair_b.c", "alone.c", "main.c"))]
    project.edit(name, files[name], f"{files[name]}int more;\n")
    would = project.scons("-n").did
    after = project.listing()
    assert {name for name in after if after[name] != before.get(name)} == {name}
    assert would[0].startswith("CC [M]")
    project.build()
    project.assert_like_clean()


def test_a_dry_run_of_the_command_line_writes_nothing(tmp_path: Path) -> None:
    project = new_project(tmp_path, PAIR)
    before = project.listing()
    done = kbuildpy("build", project.place / "drv", "-n", "-k", project.kdir)
    assert done.returncode == 0, done.error_text
    assert "CC [M]  user.o" in done.text
    assert project.listing() == before


@pytest.mark.parametrize("flags", ["-c", "-n"])
def test_options_for_scons_in_the_environment_do_not_reach_the_command_lines_build(flags: str, tmp_path: Path) -> None:
    project = new_project(tmp_path, ALONE | {"Kbuild": "obj-m := alone.o\n"})
    done = kbuildpy("build", project.place, "-k", project.kdir, env={"SCONSFLAGS": flags})
    assert done.returncode == 0, done.error_text
    assert project.output("alone.ko").exists()


@pytest.mark.parametrize("duplicate", [0, *swept(1)])
@pytest.mark.parametrize(
    "call", ["env.Kbuild('variant/drv')", *swept("env.SConscript('variant/drv/SConscript', 'env')")]
)
def test_a_variant_directory_holds_all_output(call: str, duplicate: int, tmp_path: Path) -> None:
    files = PAIR | {
        "SConstruct": f"{HEAD}env.VariantDir('variant', '.', duplicate={duplicate})\n{call}\n",
        "drv/SConscript": (
            "Import('env')\nenv.KernelModule('pair', ['pair_a.c', 'pair_b.c'])\nenv.KernelModule('user', ['user.c'])\n"
        ),
    }
    project = new_project(tmp_path, files)
    before = set(project.listing())
    project.build()
    made = {name for name in project.listing() if name not in before and name != ".sconsign.dblite"}
    assert made and all(name.startswith("variant/") for name in made)
    project.assert_nothing_to_do()
    project.edit("drv/pair.h", "PAIR 1", "PAIR 2")
    assert project.build().compiled == ["pair.mod.o", "pair_a.o", "user.mod.o", "user.o"]
    project.assert_like_clean()
    project.assert_nothing_to_do()


def test_sources_and_headers_that_scons_makes_are_there_in_time(tmp_path: Path) -> None:
    files = {
        "SConstruct": (
            f"{HEAD}env.Command('gen.c', 'gen.c.in', 'sleep 0.3; cp $SOURCE $TARGET')\n"
            "env.Command('gen.h', 'gen.h.in', 'sleep 0.3; cp $SOURCE $TARGET')\n"
            "env.KernelModule('made', ['main.c', 'gen.c'])\n"
        ),
        "main.c": f'#include "gen.h"\n{MODULE}int main_value = GENERATED;\n',
        "gen.c.in": '#include "gen.h"\nint gen_value = GENERATED;\n',
        "gen.h.in": "#define GENERATED 1\n",
    }
    project = new_project(tmp_path, files)
    project.scons("-j8")
    project.assert_nothing_to_do()
    project.edit("gen.h.in", "GENERATED 1", "GENERATED 2")
    assert [name for name in project.scons("-j8").compiled if name != "made.mod.o"] == ["gen.o", "main.o"]
    project.assert_nothing_to_do()
    project.edit("gen.c.in", "gen_value", "other_value")
    assert [name for name in project.scons("-j8").compiled if name != "made.mod.o"] == ["gen.o"]
    project.edit("gen.h.in", "GENERATED 2", "GENERATED /**/ 2")
    project.build()
    project.edit("gen.h.in", "/**/ 2", "2")
    project.build()
    project.assert_like_clean("-j8")
    project.assert_nothing_to_do()
    project.scons("-c")
    assert set(project.listing()) - {".sconsign.dblite"} == set(files)


def test_a_header_made_again_with_the_same_text_compiles_nothing(tmp_path: Path) -> None:
    files = {
        "SConstruct": (
            f"{HEAD}env.Command('gen.h', 'gen.h.in', 'grep -v unseen $SOURCE >$TARGET')\n"
            "env.KernelModule('made', ['main.c'])\n"
        ),
        "main.c": f'#include "gen.h"\n{MODULE}int main_value = GENERATED;\n',
        "gen.h.in": "#define GENERATED 1\n// unseen 1\n",
    }
    project = new_project(tmp_path, files)
    project.build()
    project.edit("gen.h.in", "unseen 1", "unseen 2")
    assert project.build().compiled == []
    project.assert_nothing_to_do()


def test_a_kbuild_files_own_rule_runs_when_what_it_reads_changed(tmp_path: Path) -> None:
    project = new_project(tmp_path, OWN_RULE)
    project.build()
    project.assert_nothing_to_do()
    project.edit("drv/gen.in", "= 1", "= 2")
    assert project.build().compiled == ["gen.o"]
    project.assert_like_clean()
    project.assert_nothing_to_do()


def test_modules_in_subdirectories_know_each_others_symbols(tmp_path: Path) -> None:
    files = PAIR | {
        "SConstruct": f"{HEAD}env.SConscript(['one/SConscript', 'drv/SConscript'], 'env')\n",
        "one/SConscript": "Import('env')\nenv.KernelModule('user', ['user.c'], CPPPATH=['#drv'])\n",
        "one/user.c": PAIR["drv/user.c"],
        "drv/SConscript": "Import('env')\nenv.KernelModule('pair', ['pair_a.c', 'pair_b.c'])\n",
    }
    project = new_project(tmp_path, files)
    project.scons("-j8")
    assert 'depends, "pair"' in project.output("user.mod.c").read_text()
    project.assert_nothing_to_do()
    project.edit("drv/pair.h", "PAIR 1", "PAIR 2")
    assert {"pair_a.o", "user.o"} <= {Path(name).name for name in project.build().compiled}
    project.assert_like_clean()


@pytest.mark.parametrize(
    "order", [pytest.param(1, id="maker first"), pytest.param(-1, id="user first", marks=pytest.mark.sweep)]
)
def test_symvers_of_another_build_are_there_in_time_and_followed(order: int, tmp_path: Path) -> None:
    calls = [
        "env.Kbuild('making')",
        "env.Kbuild('using', KBUILD_EXTRA_SYMBOLS=env.Dir('making').abspath + '/Module.symvers')",
    ]
    files = {
        "SConstruct": HEAD + "".join(f"{call}\n" for call in calls[::order]),
        "making/Kbuild": "obj-m := pair.o\n",
        "making/pair.c": PAIR["drv/pair_a.c"],
        "making/pair.h": PAIR["drv/pair.h"],
        "using/Kbuild": "obj-m := user.o\n",
        "using/user.c": PAIR["drv/user.c"].replace('"pair.h"', '"../making/pair.h"'),
    }
    project = new_project(tmp_path, files)
    project.scons("-j8")
    user = project.output("user.mod.c").read_text()
    assert 'depends, "pair"' in user
    project.assert_nothing_to_do()
    project.edit("making/pair.h", "int pair_value(void)", "long pair_value(void)")
    project.edit("making/pair.c", "int pair_value(void)", "long pair_value(void)")
    project.scons("-j8")
    assert project.output("user.mod.c").read_text() != user
    project.assert_like_clean("-j8")
    project.assert_nothing_to_do()


@pytest.mark.parametrize("modules", ["[ko, 'other.ko']", "['other.ko', ko]"])
def test_a_module_that_was_built_elsewhere_runs_beside_a_built_one(modules: str, tmp_path: Path) -> None:
    sconstruct = ALONE["SConstruct"].replace("env.KernelModule", "ko = env.KernelModule")
    project = new_project(tmp_path, ALONE | {"SConstruct": f"{sconstruct}env.RunModule({modules})\n", "other.ko": ""})
    assert {"RUN     alone.ko", "RUN     other.ko"} <= set(project.scons("-n", "run").did)


def test_scons_may_be_called_from_anywhere(pair: SConsProject) -> None:
    pair.edit("drv/pair_b.c", "return 2", "return 3")
    assert "CC [M]  pair_b.o" in pair.scons("-D", cwd="drv").did
    pair.edit("drv/pair_b.c", "return 3", "return 4")
    assert "CC [M]  pair_b.o" in pair.scons("-C", str(pair.place), cwd="..").did
    pair.assert_like_clean()
    pair.assert_nothing_to_do()


def test_one_module_can_be_named_as_the_target(tmp_path: Path) -> None:
    project = new_project(tmp_path, PAIR)
    release = usual_tree().release
    assert "LD [M]  user.ko" not in project.scons(f"build/{release}/drv/pair.ko").did
    assert [name for name in project.outputs() if name.endswith(".ko")] == [f"build/{release}/drv/pair.ko"]
    assert "LD [M]  pair.ko" not in project.build().did
    project.assert_like_clean()


@pytest.mark.parametrize("name", ["user", "user.ko"])
def test_a_module_can_be_named_by_its_name_alone(name: str, tmp_path: Path) -> None:
    project = new_project(tmp_path, PAIR)
    did = project.scons(name).did
    assert "LD [M]  user.ko" in did
    assert "LD [M]  pair.ko" not in did
    assert f"`{name}' is up to date" in project.scons(name).output
    project.scons("-c", name)
    assert not [path for path in project.outputs() if path.endswith("user.ko")]


def test_help_names_variables_targets_and_what_the_project_adds(tmp_path: Path) -> None:
    declared = "Help('\\nOurs: SPEED=N\\n')\nkos = env.Clone().Kbuild('drv')\nenv.InstallModules(None, kos)\n"
    project = new_project(tmp_path, PAIR | {"SConstruct": HEAD + declared})
    said = project.scons("-h").output
    for text in (
        "KDIR=PATH",
        "CHECK=0",
        "Ours: SPEED=N",
        f"  user  {' ' * 16}build/{usual_tree().release}/drv/user.ko\n",
    ):
        assert said.count(text) == 1, said
    assert re.search("^  install +install modules below INSTALL_MOD_PATH", said, re.MULTILINE)
    assert not re.search("^  (run|test) ", said, re.MULTILINE)
    assert "scons -H" in said


def test_several_environments_build_side_by_side(tmp_path: Path) -> None:
    text = (
        f"{HEAD}env.KernelModule('alone', ['alone.c'])\n"
        "env.Clone(CCFLAGS=['-DPROGRAM']).KernelModule('second', ['second.c'])\n"
        "Environment(tools=[generate]).KernelModule('third', ['third.c'])\n"
    )
    files = {"SConstruct": text, "alone.c": MODULE, "second.c": MODULE, "third.c": MODULE}
    project = new_project(tmp_path, files)
    project.build()
    assert project.output("modules.order").read_text().count(".ko") == 3
    project.assert_nothing_to_do()
    project.edit("second.c", MODULE, f"{MODULE}int second;\n")
    assert project.build().compiled == ["second.o"]
    project.assert_like_clean()
