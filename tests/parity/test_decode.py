# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy decode` says a place where the module is the one that ran, and else why not."""

from __future__ import annotations

import io
import json
import lzma
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kbuildpy import cli
from kbuildpy.debug.decode import decode_log, find_among
from kbuildpy.debug.find_modules import Finder
from kbuildpy.debug.subjects import read_subject
from kbuildpy.elf import ModuleImage
from kbuildpy.errors import KbuildError
from kbuildpy.run import run
from tests.support.documents import json_keys

pytestmark = pytest.mark.parity

# (a module's, as far as it is looked at)
HEAD = """#define INFO(tag, value) static const char tag[] __attribute__((section(".modinfo"), used)) = #tag "=" value
INFO(name, "boom");
INFO(vermagic, "6.66.6-none SMP ");
extern int outside(int);
extern int *volatile nowhere;
"""
MAIN = f"""{HEAD}
static inline __attribute__((always_inline)) int poke(int n)
{{
	*nowhere = n; /* poked */
	return outside(n);
}}
static __attribute__((noinline)) int twin(int n)
{{
	return outside(n) + 1; /* short twin */
}}
int begin(int n)
{{
	n += poke(n + 1); /* poke is called */
	return twin(n) + outside(n); /* twin is called */
}}
"""
MORE = """extern int outside(int);
static __attribute__((noinline)) int twin(int n)
{
	return outside(n) * outside(n + 1) * outside(n + 2); /* long twin */
}
int more(int n) { return twin(n) + 2; }
"""
SAME = """extern int outside(int);
static __attribute__((noinline)) int twin(int n)
{
	return outside(n) + 1; /* other twin */
}
int more(int n) { return twin(n) + 2; }
"""
CPU = "CPU: 0 PID: 71 Comm: insmod Tainted: G           OE      6.66.6-none #1 Debian"


def compile_module(place: Path, *options: str, more: str = MORE, ending: str = "") -> Path:
    """A module of two source files at `place`/boom.ko."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "main.c").write_text(MAIN + ending)
    (place / "more.c").write_text(more)
    for name in ("main", "more"):
        run(["gcc", "-O2", "-fno-pic", "-g", "-c", *options, place / f"{name}.c", "-o", place / f"{name}.o"])
    run(["ld", "-r", "--build-id", "-o", place / "boom.ko", place / "main.o", place / "more.o"])
    return place / "boom.ko"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_module(tmp_path_factory.mktemp("m") / "drv")


def line_of(place: Path, words: str) -> str:
    """`main.c:8`, of the line that has `words` in a comment."""
    for file in sorted(place.glob("*.c")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if f"/* {words} */" in line:
                return f"{file.name}:{number}"
    raise AssertionError(words)


def address(module: Path, function: str, *, call: int | None = None, size: int | None = None) -> str:
    """What a kernel calls the place behind call number `call` of `function` (of `size` bytes), or its write to memory;
    with the size that the next symbol gives it."""
    symbols = ModuleImage.from_path(module).symbols
    starts = sorted({(symbol.shndx, symbol.value) for symbol in symbols if symbol.name and symbol.type in (0, 2)})
    found = [symbol for symbol in symbols if symbol.name == function and size in (None, symbol.size)]
    following = [value for shndx, value in starts if shndx == found[0].shndx and value > found[0].value]
    length = following[0] - found[0].value if following else found[0].size
    text = run(["objdump", "-d", "--no-show-raw-insn", module]).text
    code = [
        (int(at, 16), words)
        for at, words in re.findall(r"^ +([0-9a-f]+):\t(.*)$", text, re.MULTILINE)
        if found[0].value <= int(at, 16) < found[0].value + found[0].size
    ]
    if call is None:
        at = next(at for at, words in code if re.match(r"mov +%e\w\w,\(%r\w+\)", words))
    else:
        places = [number for number, (_, words) in enumerate(code) if words.startswith("call")]
        at = code[places[call] + 1][0]
    return f"{function}+{at - found[0].value:#x}/{length:#x} [boom]"


Decode = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Decode:
    """Runs the command over lines of a log, in an empty directory: its status, lines, and messages."""
    monkeypatch.chdir(tmp_path)

    def decoded(lines: list[str], *words: str | Path) -> tuple[int, list[str], str]:
        (tmp_path / "console.log").write_text("".join(f"{line}\n" for line in lines))
        status = cli.main(["decode", "console.log", *map(str, words)])
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err

    return decoded


def test_adds_the_places_behind_and_below_the_lines(module: Path, decode: Decode) -> None:
    written, returned = address(module, "begin"), address(module, "begin", call=1)
    log = [CPU, f"[    2.1] RIP: 0010:{written}", "[    2.1] Call Trace:", f"[    2.1]  {returned}", "[    2.2] done"]
    status, lines, said = decode(log, module)
    assert (status, said) == (0, "")
    assert lines == [
        log[0],
        f"{log[1]}  poke ({line_of(module.parent, 'poked')})",
        f"{' ' * 22}inlined by begin ({line_of(module.parent, 'poke is called')})",
        log[2],
        f"{log[3]}  begin ({line_of(module.parent, 'twin is called')})",
        log[4],
    ]


def test_two_functions_of_one_name_are_told_apart_by_their_size(module: Path, decode: Decode) -> None:
    sizes = sorted(symbol.size for symbol in ModuleImage.from_path(module).symbols if symbol.name == "twin")
    for size, words in zip(sizes, ("short twin", "long twin"), strict=True):
        [line] = decode([f" {address(module, 'twin', call=0, size=size)}"], module)[1]
        assert line.endswith(f"  twin ({line_of(module.parent, words)})")


def test_two_functions_of_one_name_and_size_are_both_told(tmp_path: Path, decode: Decode) -> None:
    # (in sections of their own, so that both have the same padding behind them)
    module = compile_module(tmp_path / "drv", "-ffunction-sections", more=SAME)
    status, lines, _ = decode([f" {address(module, 'twin', call=0)}"], module)
    assert status == 0
    assert lines[0].endswith(f"  twin (drv/{line_of(module.parent, 'short twin')})")
    assert lines[1].strip() == f"or twin (drv/{line_of(module.parent, 'other twin')})"


def test_paths_below_the_working_directory_are_told_from_there(tmp_path: Path, decode: Decode) -> None:
    module = compile_module(tmp_path / "drv")
    [line, _] = decode([f"RIP: 0010:{address(module, 'begin')}"], module)[1]
    assert line.endswith(f"  poke (drv/{line_of(module.parent, 'poked')})")


def test_json_has_every_key_that_the_documents_name(module: Path, decode: Decode) -> None:
    log = [CPU, f"RIP: 0010:{address(module, 'begin')}", " do_one_initcall+0x59/0x220", " ? x+0x1/0x2 [unheard]"]
    status, lines, _ = decode(log, module, "--format", "json")
    first, second, third = map(json.loads, lines)
    assert status == 1
    assert first.keys() == second.keys() == json_keys("kbuildpy decode")
    assert (first["line"], first["text"], first["module"], first["returns"]) == (2, log[1], "boom", False)
    [[inner, outer]] = first["places"]
    assert (inner["function"], outer["function"]) == ("poke", "begin")
    assert f"{Path(inner['file']).name}:{inner['line']}" == line_of(module.parent, "poked")
    assert inner["file"] == str(module.parent / "main.c")
    assert (second["module"], second["places"], second["problem"]) == (None, [], None)
    assert (third["certain"], third["problem"]) == (False, "there is no unheard.ko")


def test_a_module_that_is_missing_is_named_once(module: Path, tmp_path: Path, decode: Decode) -> None:
    log = [CPU, *[f" call_{number}+0x1/0x20 [other]" for number in range(5)]]
    status, lines, said = decode(log, module)
    assert (status, lines) == (1, log)
    assert said.splitlines() == [
        "kbuildpy: there is no other.ko",
        f"  name the other.ko that was loaded (looked in {tmp_path}/build/6.66.6-none and /lib/modules/6.66.6-none)",
    ]
    assert "the log does not tell the release" in decode(log[1:], module)[2]


def test_modules_that_are_not_named_are_looked_for_by_the_release(module: Path, tmp_path: Path, decode: Decode) -> None:
    place = tmp_path / "build/6.66.6-none/sub/boom.ko.xz"
    place.parent.mkdir(parents=True)
    place.write_bytes(lzma.compress(module.read_bytes()))
    status, lines, _ = decode([CPU, f"RIP: 0010:{address(module, 'begin')}"])
    assert status == 0 and "poke (" in lines[1]
    installed = tmp_path / "root/lib/modules/6.66.6-none"
    (installed / "kernel").mkdir(parents=True)
    place.rename(installed / "kernel/boom.ko.xz")
    found = Finder(tmp_path, root=tmp_path / "root").module("boom", "6.66.6-none")
    assert found is not None and found.file == installed / "kernel/boom.ko.xz"


def test_a_log_on_standard_input(module: Path, decode: Decode, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"RIP: 0010:{address(module, 'begin')}"
    for words in ([str(module)], ["-", str(module)], ["-", str(module.parent)]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{line}\n".encode())))
        assert cli.main(["decode", *words]) == 0


# --- Another build


def test_a_function_of_another_size_is_another_build(module: Path, tmp_path: Path, decode: Decode) -> None:
    other = compile_module(tmp_path / "other", ending="int late(int n) { return outside(n) + outside(2 * n); }\n")
    written, late = address(module, "begin"), address(other, "late", call=0)
    size = int(written.partition("/")[2].partition(" ")[0], 16)
    wrong = written.replace(f"/{size:#x}", f"/{size + 16:#x}")
    # (a place of the same report that would fit is not told either)
    log = [f"RIP: 0010:{wrong}", "Call Trace:", f" {address(module, 'begin', call=1)}"]
    status, lines, said = decode(log, module)
    assert (status, lines) == (1, log)
    first, hint = said.splitlines()
    assert first == f"kbuildpy: {module}: another build: the size of begin is {size:#x}, in the log {size + 16:#x}"
    assert hint == "  name the boom.ko that was loaded"
    status, lines, said = decode([f" {late}"], module)
    assert "another build: it has no late, which the log names" in said
    # (a report of the right build, after it)
    status, lines, _ = decode([*log, "---[ end trace 0000000000000000 ]---", f"RIP: 0010:{written}"], module)
    assert status == 1 and "poke (" in lines[4]


def test_another_build_id_is_another_build(module: Path, tmp_path: Path, decode: Decode) -> None:
    build_id = read_subject(module).build_id
    other = compile_module(tmp_path / "other", "-DOTHER=1")
    written = address(module, "begin")
    right = f"RIP: 0010:{written.replace(']', f' {build_id}]')}"
    assert decode([right], module)[0] == 0
    wrong = right.replace(build_id, build_id[::-1])
    status, lines, said = decode([wrong], module)
    assert (status, lines) == (1, [wrong])
    assert f"another build: its build id is {build_id}, the log's {build_id[::-1]}" in said
    # (of several files of one name the right one is taken)
    assert decode([right], other, module)[0] == decode([right], module, other)[0] == 0


# --- Without debug information


def test_of_several_builds_the_one_whose_build_id_begins_as_in_the_log_is_taken(tmp_path: Path, decode: Decode) -> None:
    other = compile_module(tmp_path / "other", ending="int changed = 1;\n")
    module = compile_module(tmp_path / "drv")
    build_id = read_subject(module).build_id
    assert read_subject(other).build_id != build_id
    line = f"RIP: 0010:{address(module, 'begin')}"
    assert line.endswith("[boom]")
    for files in ((other, module), (module, other)):
        _, lines, told = decode([line.replace("[boom]", f"[boom {build_id[:12]}]")], *files)
        assert "main.c:" in lines[0], told


def test_without_debug_information_there_is_one_hint(module: Path, tmp_path: Path, decode: Decode) -> None:
    stripped = tmp_path / "boom.ko"
    run(["objcopy", "--strip-debug", module, stripped])
    log = [f"RIP: 0010:{address(module, 'begin')}", f" {address(module, 'begin', call=1)}"]
    status, lines, said = decode(log, stripped)
    assert (status, lines) == (1, log)
    assert said.splitlines() == [
        f"kbuildpy: {stripped}: it has no debug information",
        "  build it with KCFLAGS=-g, or for a kernel with CONFIG_DEBUG_INFO: the code stays the same",
    ]
    # (the kernel's own)
    own = tmp_path / "lib/modules/6.66.6-none/kernel/boom.ko"
    own.parent.mkdir(parents=True)
    stripped.rename(own)
    assert "(Debian: linux-image-6.66.6-none-dbg)" in decode(log, own)[2]
    naked = tmp_path / "naked/boom.ko"
    naked.parent.mkdir()
    run(["strip", "-s", "-o", naked, module])
    assert "it has no symbol table" in decode(log, naked)[2]


def test_a_part_without_debug_information_is_told_by_its_function(tmp_path: Path, decode: Decode) -> None:
    module = compile_module(tmp_path / "drv")
    run(["gcc", "-O2", "-fno-pic", "-c", module.parent / "more.c", "-o", module.parent / "more.o"])
    run(["ld", "-r", "-o", module, module.parent / "main.o", module.parent / "more.o"])
    status, _, said = decode([f" {address(module, 'more', call=0)}"], module)
    assert status == 1
    assert f"{module}: its debug information does not have more" in said


# --- The kernel itself


def test_functions_of_the_kernel_are_decoded_with_its_vmlinux(module: Path, tmp_path: Path, decode: Decode) -> None:
    vmlinux = tmp_path / "vmlinux"
    run(["ld", "-e", "0", "--unresolved-symbols=ignore-all", "-Ttext=0xffffffff81000000", "-o", vmlinux, module])
    line = f" {address(module, 'begin', call=1).removesuffix(' [boom]')}"
    status, [shown], _ = decode([line], "--vmlinux", vmlinux)
    assert status == 0
    assert shown == f"{line}  begin ({line_of(module.parent, 'twin is called')})"
    # (another kernel's: there is nothing to say)
    assert decode([" begin+0x10/0xffff"], "--vmlinux", vmlinux)[:2] == (0, [" begin+0x10/0xffff"])
    place = tmp_path / "root/usr/lib/debug/boot/vmlinux-6.66.6-none"
    place.parent.mkdir(parents=True)
    vmlinux.rename(place)
    finder = Finder(tmp_path, root=tmp_path / "root")
    [decoded] = decode_log([CPU, line], find_among([], finder))[:1]
    assert decoded.file == str(place) and decoded.chains


# --- Bad input


def test_colours_stay_and_other_escapes_do_nothing(module: Path, decode: Decode) -> None:
    line = f"\x1b[32m[    2.1] \x1b[0mRIP: 0010:{address(module, 'begin')}\x1b[0m"
    status, lines, _ = decode([line, "\x1b]0;title\x07 \x1b[2J"], module)
    assert status == 0
    assert lines[0].startswith(f"{line}  poke (")
    assert lines[1] == f"{' ' * 22}inlined by begin ({line_of(module.parent, 'poke is called')})"
    assert lines[2] == "\\x1b]0;title\\x07 \\x1b[2J"


def test_a_log_that_is_cut_off_anywhere_is_read(module: Path, decode: Decode) -> None:
    log = f"{CPU}\nRIP: 0010:{address(module, 'begin')}\nCall Trace:\n {address(module, 'begin', call=1)}"
    for length in range(len(log) - 60, len(log), 3):
        cut = log[:length].split("\n")
        _, lines, said = decode(cut, module)
        assert [line for line in lines if line.startswith(tuple(cut))][1].startswith(cut[1])
        assert "Traceback" not in said and "another build" not in said


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["gone.log"], 2, "gone.log: no such file or directory"),
        (["empty.log", "gone.ko"], 2, "gone.ko: no such file or directory"),
        (["empty.log", "text.ko"], 1, "text.ko: not an ELF file"),
        (["empty.log", "--vmlinux", "text.ko"], 1, "text.ko: not an ELF file"),
        (["empty.log", "-k", "nonsense"], 2, "nonsense"),
        (["empty.log"], 0, ""),
    ],
)
def test_a_wrong_call_has_one_error(
    words: list[str],
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.log").touch()
    Path("text.ko").write_text("text")
    assert cli.main(["decode", *words]) == status
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("options", [("-gdwarf-5",), ("-gdwarf-4",), ("-gz=zlib",)])
def test_damaged_debug_information_is_one_error(options: tuple[str, ...], tmp_path: Path) -> None:
    module = compile_module(tmp_path / "drv", *options)
    image = ModuleImage.from_path(module)
    log = [f"RIP: 0010:{address(module, 'begin')}", f" {address(module, 'twin', call=0)}"]
    places = [
        section.offset + at for section in image.sections if ".debug_" in section.name for at in range(section.size)
    ]
    dice, outcomes = random.Random(1), set()
    for _ in range(300):
        contents = bytearray(image.contents)
        for place in dice.sample(places, dice.choice((1, 4, 30))):
            contents[place] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        damaged = tmp_path / "boom.ko"
        damaged.write_bytes(contents)
        try:
            found = decode_log(log, find_among([read_subject(damaged)], Finder(tmp_path)))
        except KbuildError as error:  # (the file as a whole)
            outcomes.add(error.message.partition(": ")[2][:20])
            continue
        outcomes |= {each.problem.words.partition(": ")[2][:20] if each.problem else "" for each in found}
    assert "" in outcomes and any("debug information is" in text or "its debug" in text for text in outcomes), outcomes


@pytest.mark.parametrize(
    ("option", "change", "said"),
    [
        ("zlib", lambda packed: b"\0" * len(packed), "damaged zlib contents"),
        ("zlib", lambda packed: packed[:1] + b"\0" * (len(packed) - 1), "damaged zlib contents"),
        ("zstd", lambda packed: packed[:8] + b"\xff" * (len(packed) - 8), "damaged zstd contents"),
        ("zstd", lambda packed: b"\0" * len(packed), "are not compressed as its header says"),
    ],
)
def test_damaged_compressed_debug_information_is_one_error(
    option: str, change: Callable[[bytes], bytes], said: str, tmp_path: Path, decode: Decode
) -> None:
    module = compile_module(tmp_path / "drv")
    objcopy: list[str | Path] = ["objcopy", f"--compress-debug-sections={option}", module]
    if run(objcopy, check=False).returncode != 0:
        pytest.skip(f"this objcopy has no {option}")
    image = ModuleImage.from_path(module)
    section = image.section(".debug_info")
    assert section is not None
    header, contents = 24, image.contents
    begin, end = section.offset + header, section.offset + section.size
    module.write_bytes(contents[:begin] + change(contents[begin:end]) + contents[end:])
    status, _, told = decode([f"RIP: 0010:{address(module, 'begin')}"], module)
    assert status == 1
    assert f"{module}: its debug information is damaged: .debug_info: " in told and said in told


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        # (the size of an address: read_lines)
        (".debug_line", lambda contents: contents[:6] + b"\5" + contents[7:], "has addresses of 5 bytes"),
        # (DW_AT_sibling in DW_FORM_ref4, made DW_FORM_flag_present, which has no bytes)
        (".debug_abbrev", lambda contents: contents.replace(b"\1\x13", b"\1\x19"), ""),
    ],
)
def test_odd_sizes_in_debug_information_are_one_error(
    section: str, change: Callable[[bytes], bytes], said: str, tmp_path: Path, decode: Decode
) -> None:
    module = compile_module(tmp_path / "drv", "-gdwarf-5")
    line = f"RIP: 0010:{address(module, 'begin')}"
    image = ModuleImage.from_path(module)
    found = image.section(section)
    assert found is not None
    before = image.section_data(found)
    after = change(before)
    assert len(after) == len(before) and after != before
    contents = image.contents
    module.write_bytes(contents[: found.offset] + after + contents[found.offset + found.size :])
    status, lines, told = decode([line], module)
    assert lines[0].startswith(line)
    assert status in ((1,) if said else (0, 1))
    assert said in told and "Traceback" not in told
