# SPDX-License-Identifier: GPL-2.0-only
"""What refuses a module in Rust before rustc is started, and what is done with rustc's commands and depfiles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from kbuildpy.errors import CommandError, KbuildError
from kbuildpy.kbuild.cmd_file import cmd_file_of, read_depfile
from kbuildpy.kbuild.command import run_command
from kbuildpy.kbuild.included_headers import search_headers
from kbuildpy.kbuild.layout import Layout
from kbuildpy.kbuild.plan import BuildStep, ObjectPlan, Plan
from kbuildpy.kbuild.rust import refuse_unbuildable_rust, rustc_command
from kbuildpy.kbuild.tree_answer import TreeAnswer
from kbuildpy.kbuild.tree_programs import parse_programs, program_files
from kbuildpy.kernel.rust import METADATA, metadata_version, minimum_version, refuse_old_tool, refuse_rust, version_text
from kbuildpy.kernel.tree import KernelTree

BUILT_WITH = "rustc 1.85.0 (4d91de4e4 2025-02-17)"
MINIMUM = """case "$1" in
rustc) if [ "$SRCARCH" = s390 ]; then echo 1.96.0; else echo 1.85.0; fi ;;
bindgen) echo 0.71.1 ;;
*) exit 1 ;;
esac
"""


def tree_with(
    place: Path, *, config: str = "CONFIG_RUST=y\n", metadata: bool = True, version: str = BUILT_WITH
) -> Path:
    """A kernel tree, as far as modules in Rust ask for it."""
    for folder in ("include/config", "include/generated", "rust", "scripts"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    (place / "include/config/auto.conf").write_text(config)
    (place / "scripts/min-tool-version.sh").write_text(MINIMUM)
    if metadata:
        text = version.encode()
        for name in METADATA:
            # (as rustc 1.85 writes it: a signature, where the root is, its own version)
            (place / name).write_bytes(b"rust\0\0\0\x09" + bytes(8) + bytes([len(text)]) + text + b"\xc1more")
    return place


def tree(place: Path) -> KernelTree:
    return KernelTree(place, place, "7.3.4-rust")


def program(place: Path, name: str, said: str) -> dict[str, str]:
    """An environment in which a program of that name says its version."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / name
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    return {**os.environ, "PATH": f"{place}:{os.environ['PATH']}"}


def refusal(place: Path, environ: Mapping[str, str], said: str = BUILT_WITH) -> KbuildError:
    with pytest.raises(KbuildError) as refused:
        refuse_rust(tree(place), rustc="rustc", said=said, environ=environ, source="x.rs")
    return refused.value


def test_the_rustc_of_the_metadata_is_taken(tmp_path: Path) -> None:
    environ = program(tmp_path / "bin", "rustc", BUILT_WITH)
    refuse_rust(
        tree(tree_with(tmp_path)), rustc="rustc", said=version_text("rustc", environ), environ=environ, source="x.rs"
    )


def test_a_kernel_without_rust_is_refused(tmp_path: Path) -> None:
    error = refusal(tree_with(tmp_path, config="CONFIG_RUST_IS_AVAILABLE=y\n"), os.environ)
    assert "x.rs: 7.3.4-rust was built without Rust (CONFIG_RUST)" in error.message
    assert "CONFIG_RUST=y" in error.hint


def test_a_tree_without_metadata_is_refused_and_what_is_missing_is_named(tmp_path: Path) -> None:
    error = refusal(tree_with(tmp_path, metadata=False), os.environ)
    assert f"7.3.4-rust has CONFIG_RUST=y, but {tmp_path} lacks" in error.message
    assert "rust/libcore.rmeta, rust/libkernel.rmeta" in error.message
    assert "build the kernel's sources" in error.hint


def test_one_missing_file_is_enough(tmp_path: Path) -> None:
    (tree_with(tmp_path) / METADATA[0]).unlink()
    error = refusal(tmp_path, os.environ)
    assert error.message.endswith(f"compiled against: {METADATA[0]}")


def test_a_missing_rustc_is_named_with_its_package(tmp_path: Path) -> None:
    error = refusal(tree_with(tmp_path), {"PATH": str(tmp_path)}, said="")
    assert isinstance(error, CommandError)
    assert (error.message, error.hint) == (
        "rustc: not found; modules in Rust need it",
        "apt-get install rustc (Debian 12 has newer ones as rustc-web)",
    )


def test_a_rustc_older_than_the_trees_minimum_is_refused_with_that(tmp_path: Path) -> None:
    old = "rustc 1.63.0 (4b91a6ea7 2022-08-08)"
    environ = program(tmp_path / "bin", "rustc", old)
    error = refusal(tree_with(tmp_path), environ, said=old)
    assert error.message == f"{old} is too old: this kernel needs rustc 1.85.0 or newer"
    assert "scripts/min-tool-version.sh" in error.hint
    assert "RUSTC=" in error.hint


def test_the_minimum_may_depend_on_the_architecture(tmp_path: Path) -> None:
    place = tree_with(tmp_path)
    assert minimum_version(place, "rustc", {**os.environ, "SRCARCH": "x86"}) == "1.85.0"
    assert minimum_version(place, "rustc", {**os.environ, "SRCARCH": "s390"}) == "1.96.0"
    assert minimum_version(place, "nothing", os.environ) == ""
    assert minimum_version(tmp_path / "bin", "rustc", os.environ) == ""


def test_versions_are_compared_as_numbers(tmp_path: Path) -> None:
    environ = program(tmp_path / "bin", "bindgen", "")
    place = tree_with(tmp_path)
    refuse_old_tool(place, "bindgen", "bindgen", "bindgen 0.100.0", environ)
    with pytest.raises(KbuildError, match=r"bindgen 0\.71\.0 is too old: this kernel needs bindgen 0\.71\.1"):
        refuse_old_tool(place, "bindgen", "bindgen", "bindgen 0.71.0", environ)


def test_another_rustc_than_the_kernels_is_refused_and_both_are_named(tmp_path: Path) -> None:
    other = "rustc 1.96.0 (ac68faa20 2026-05-25)"
    environ = program(tmp_path / "bin", "rustc", other)
    error = refusal(tree_with(tmp_path), environ, said=other)
    assert f"was built by {BUILT_WITH}, and rustc is {other}" in error.message
    assert "install rustc 1.85.0" in error.hint
    assert "RUSTUP_TOOLCHAIN=1.85.0" in error.hint


def test_the_metadata_tells_the_version_and_not_the_configuration(tmp_path: Path) -> None:
    config = 'CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT="rustc 1.99.0"\n'
    assert metadata_version(tree(tree_with(tmp_path, config=config))) == BUILT_WITH
    (tmp_path / METADATA[1]).write_bytes(b"something else of another rustc \x05")
    assert metadata_version(tree(tmp_path)) == "rustc 1.99.0"


def test_a_version_cannot_control_the_terminal(tmp_path: Path) -> None:
    assert metadata_version(tree(tree_with(tmp_path, version="rustc \x1b[31m"))) == r"rustc \x1b[31m"


def test_a_program_without_a_version_tells_none(tmp_path: Path) -> None:
    assert version_text("rustc", program(tmp_path, "rustc", BUILT_WITH)) == BUILT_WITH
    assert version_text(str(tmp_path / "nothing"), os.environ) == ""
    assert version_text("false", os.environ) == ""


def test_a_program_that_fails_tells_no_version(tmp_path: Path) -> None:
    environ = program(tmp_path, "rustc", BUILT_WITH)
    (tmp_path / "rustc").write_text("#!/bin/sh\necho rustc 1.85.0\nexit 1\n")
    assert version_text("rustc", environ) == ""


def test_the_last_word_of_a_command_is_the_program(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"^oxide: not found; modules in Rust need it"):
        refuse_old_tool(tmp_path, "rustc", "env A=b oxide", "", {"PATH": str(tmp_path)})
    with pytest.raises(CommandError, match=r"^rustc: not found"):
        refuse_old_tool(tmp_path, "rustc", "", "", {"PATH": str(tmp_path)})


def plan_with(*rules: str) -> Plan:
    """A plan for an object of each rule, and for a form of a source of the last one."""
    items = tuple(ObjectPlan(f"{rule}.o", f"d/{rule}.x", (BuildStep(rule, "", ""),)) for rule in rules)
    made = ObjectPlan("shipped.o", "shipped.o", ())
    return Plan(
        "/m", (), (made, *items[:-1]), (), (), (), (), "", custom=False, needed=(), changeable=False, singles=items[-1:]
    )


def refused_plan(
    place: Path, plan: Plan, environ: Mapping[str, str], *, records: list[dict[str, str]], recipes: str
) -> str:
    """Why a plan is refused; "" if it is not."""
    programs = {"RUSTC": "rustc", "BINDGEN": "bindgen"}
    step = BuildStep("modpost", "", "")
    answer = TreeAnswer(tree(place), "/p", {}, False, step, (), "", "", (), (), (), "", programs, (), (), "id")
    try:
        refuse_unbuildable_rust(answer, plan, records, recipes, environ)
    except KbuildError as error:
        return error.message
    return ""


def test_only_a_plan_with_rust_asks_for_rust(tmp_path: Path) -> None:
    place = tree_with(tmp_path, metadata=False)
    quiet = partial(refused_plan, place, environ={"PATH": ""}, records=[], recipes="")
    assert quiet(plan_with("cc_o_c", "cpp_i_c")) == ""
    assert quiet(plan_with("cc_o_c", "rustc_o_rs", "cpp_i_c")).startswith("rustc_o_rs.x: 7.3.4-rust has CONFIG_RUST=y")
    assert quiet(plan_with("cc_o_c", "rustc_rsi_rs")).startswith("rustc_rsi_rs.x: 7.3.4-rust has")


def test_the_rustc_that_the_tree_names_is_asked(tmp_path: Path) -> None:
    environ = program(tmp_path / "bin", "rustc", "rustc 1.99.0 (x)")
    said = refused_plan(tree_with(tmp_path), plan_with("rustc_o_rs", "cc_o_c"), environ, records=[], recipes="")
    assert "and rustc is rustc 1.99.0 (x): rustc reads the metadata of no other version" in said
    environ = program(tmp_path / "bin", "rustc", BUILT_WITH)
    assert refused_plan(tmp_path, plan_with("rustc_o_rs", "cc_o_c"), environ, records=[], recipes="") == ""


def test_an_old_bindgen_is_refused_where_a_rule_of_the_kbuild_files_own_calls_it(tmp_path: Path) -> None:
    place, plan = tree_with(tmp_path), plan_with("cc_o_c")
    environ = program(tmp_path / "bin", "bindgen", "bindgen 0.60.1")
    old = "bindgen 0.60.1 is too old: this kernel needs bindgen 0.71.1 or newer"
    own = {"rule": "mine", "command": "bindgen x.h -o x.rs"}
    native = {"rule": "cc_o_c", "command": "gcc -Dbindgen x"}
    other = {"directory": "/m"}
    assert refused_plan(place, plan, environ, records=[other, native], recipes="cp a b") == ""
    assert refused_plan(place, plan, environ, records=[other, own], recipes="") == old
    assert refused_plan(place, plan, environ, records=[], recipes="bindgen x.h > x.rs") == old


# What rustc 1.85 writes for a crate of two files, with --emit=dep-info,obj (long paths shortened).
DEPFILE = r"""x.o: x.rs ./rust/libcore.rmeta ./rust/libmacros.so part\ of.rs

./.x.o.d: x.rs ./rust/libcore.rmeta ./rust/libmacros.so part\ of.rs

x.rs:
./rust/libcore.rmeta:
part\ of.rs:

# env-dep:RUST_MODFILE=x
# env-dep:OBJTREE=/a \
"""


def test_rustc_names_the_source_in_each_list_and_it_is_no_header() -> None:
    assert read_depfile(DEPFILE) == ("x.rs", ["./rust/libcore.rmeta", "./rust/libmacros.so", "part of.rs"])


def test_no_symbol_is_looked_for_in_metadata(tmp_path: Path) -> None:
    (tmp_path / "a.d").write_text(DEPFILE)
    asked = []

    def symbols_of(path: str) -> list[str]:
        asked.append(Path(path).name)
        return ["A"]

    made_from = cmd_file_of(tmp_path / "a.d", cwd=str(tmp_path), symbols_of=symbols_of, is_own=lambda path: False)
    assert asked == ["x.rs", "part of.rs"]
    assert "./rust/libcore.rmeta" in made_from.headers


COMMAND = (
    "OBJTREE=/k RUST_MODFILE=drv/x rustc --edition=2021 @./include/generated/rustc_cfg -Zcrate-attr='feature(a,b)' "
    "--extern kernel --crate-type rlib -L ./rust/ --out-dir ./drv/ --emit=dep-info=drv/.x.o.d --emit=obj=drv/x.o "
    "drv/x.rs ; ./tools/objtool/objtool --orc drv/x.o"
)


def test_output_of_rustc_goes_to_the_output_directory() -> None:
    moved = Layout("/m", "/m", "/m/build/R", "/m").relocate(COMMAND, ("drv/x.o",))
    done = rustc_command("rustc_o_rs", moved, folder="/m/build/R/drv", maps=())
    for word in (
        *("--out-dir /m/build/R/drv ", "--emit=dep-info=/m/build/R/drv/.x.o.d ", "--emit=obj=/m/build/R/drv/x.o "),
        *(" drv/x.rs ", "--orc /m/build/R/drv/x.o", "RUST_MODFILE=drv/x "),
    ):
        assert word in done
    assert "--remap" not in done


def test_rustc_gets_prefix_maps_in_its_own_words() -> None:
    done = rustc_command("rustc_o_rs", COMMAND, folder="/o", maps=["-ffile-prefix-map=/copy=/m", "-DX"])
    assert " --remap-path-prefix=/copy=/m --crate-type rlib " in done
    assert "-ffile" not in done
    assert "-DX" not in done


def test_intermediate_code_of_inline_helpers_goes_there_too() -> None:
    command = "rustc --emit=llvm-bc=x.bc x.rs ; llvm-link x.bc h.bc -o x.m.bc; clang -c x.m.bc -o x.o"
    moved = Layout("/m", "/m", "/o", "/m").relocate(command, ("x.o",))
    assert (
        moved == "rustc --emit=llvm-bc=/o/x.bc x.rs ; llvm-link /o/x.bc h.bc -o /o/x.m.bc; clang -c /o/x.m.bc -o /o/x.o"
    )


def test_a_missing_rustfmt_is_no_failure(tmp_path: Path) -> None:
    text = "echo expanded >x.rsi; command -v no-such-program >/dev/null && no-such-program x.rsi"
    with pytest.raises(CommandError, match="no-such-program"):
        run_command(text, cwd=str(tmp_path), env=os.environ)
    done = rustc_command("rustc_rsi_rs", text, folder="/o", maps=())
    assert run_command(done, cwd=str(tmp_path), env=os.environ) == 0
    failing = rustc_command("rustc_rsi_rs", "false; true", folder="/o", maps=())
    assert run_command(failing, cwd=str(tmp_path), env=os.environ) == 1


def test_variables_before_a_command_are_its_own_and_need_no_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    text = "A=/k/x B=drv/y printenv A B ; printenv B"
    assert run_command(text, cwd=str(tmp_path), env={"PATH": os.environ["PATH"], "B": "old"}) == 0
    assert capfd.readouterr().out == "/k/x\ndrv/y\nold\n"
    # (objtool's messages are heard only where no shell runs it)
    heard: list[str] = []
    (tmp_path / "objtool").write_text("#!/bin/sh\necho warned >&2\n")
    (tmp_path / "objtool").chmod(0o755)
    run_command("A=b true ; ./objtool", cwd=str(tmp_path), env={"PATH": os.environ["PATH"]}, hear_objtool=heard.append)
    assert heard == ["warned\n"]


def test_other_files_of_a_crate_are_found_before_it_was_compiled(tmp_path: Path) -> None:
    (tmp_path / "x.rs").write_text(
        'mod one;\npub(crate) mod two;\n#[path = "far/three.rs"]\nmod three;\nmod inline { }\n// mod five;\n'
        'include!("made.rs");\nstatic T: &str = include_str!("text");\n'
    )
    (tmp_path / "two.rs").write_text("mod four;\n")
    there = {
        *("one.rs", "two.rs", "far/three.rs", "two/four.rs", "made.rs", "text", "inline.rs", "five.rs"),
    }
    found = search_headers(str(tmp_path / "x.rs"), [], exists=lambda path: os.path.relpath(path, tmp_path) in there)
    names = sorted(os.path.relpath(path, tmp_path) for path in found)
    assert names == ["far/three.rs", "made.rs", "one.rs", "text", "two.rs", "two/four.rs"]


def test_programs_of_rust_are_known_only_of_kernels_with_rust() -> None:
    assert "RUSTC" not in parse_programs("gcc|ld")
    found = parse_programs("gcc|ld", "rustc|clippy-driver|bindgen|rustfmt")
    assert (found["CC"], found["RUSTC"], found["RUSTC_OR_CLIPPY"]) == ("gcc", "rustc", "clippy-driver")


def test_what_rustup_has_chosen_is_watched(tmp_path: Path) -> None:
    (tmp_path / "rustup").write_text("#!/bin/sh\n")
    (tmp_path / "rustup").chmod(0o755)
    (tmp_path / "rustc").symlink_to("rustup")
    environ = {"PATH": str(tmp_path), "HOME": "/home/me"}
    assert program_files({"RUSTC": "rustc"}, environ) == [str(tmp_path / "rustup"), "/home/me/.rustup/settings.toml"]
    assert program_files({"RUSTC": "rustc"}, {**environ, "RUSTUP_HOME": "/r"})[1] == "/r/settings.toml"
