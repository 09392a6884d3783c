# SPDX-License-Identifier: GPL-2.0-only
"""The table of configurations is what `./run configurations` writes from its results, and that goes on where it was
interrupted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.kernel_build.option_sets import read_option_sets
from kbuildpy.kernel_build.recipe import toolchain_of
from tests.configurations import __main__ as script
from tests.configurations.kernels import Kernel
from tests.configurations.parts import COMPARISONS, differences_of
from tests.configurations.results import PARTS, RESULTS, Outcome, Result, read_result, write_result
from tests.configurations.rows import ROWS, Packaged, Row, SelfBuilt, kept_exports
from tests.configurations.table import DOCUMENT, read_results, table, written
from tests.support.builds import Build

EQUAL = {
    "bytes": Outcome("equal", {"samples": 8, "files": 30}, ("a", "b", "c")),
    "modpost": Outcome("equal", {"modules": 2}),
    "check": Outcome("equal", {"named": 700, "random": 200}),
    "run": Outcome("equal", {"samples": 8}),
}
RESULT = Result("6.1.9-amd64", "gcc-12 (Debian 12.2.0-14) 12.2.0", "abc", outcomes=EQUAL)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


# --- The rows, and the document


def test_there_are_at_least_sixteen_configurations_each_with_a_name_of_its_own() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len({*names}) >= 16
    assert all(row.name.startswith(f"{row.line}-") for row in ROWS)


@pytest.mark.parametrize("row", [row for row in ROWS if isinstance(row.kernel, SelfBuilt)], ids=lambda row: row.name)
def test_what_is_built_here_can_be_asked_of_kernel_build(row: Row) -> None:
    assert isinstance(row.kernel, SelfBuilt)
    sets = read_option_sets(row.kernel.sets)
    toolchain_of(row.kernel.machine, row.kernel.llvm, sets)
    assert row.minutes
    assert all(re.fullmatch(r"CONFIG_\w+=\S+", line) for line in row.kernel.options.splitlines())
    assert not row.kernel.options or row.kernel.name, "its release would have digits in place of a name"


def test_symbols_that_are_kept_are_names_each_once() -> None:
    names = kept_exports().splitlines()
    assert len(names) == len({*names}) > 20
    assert all(re.fullmatch(r"\w+", name) for name in names)


def test_the_document_has_the_table_that_the_results_lead_to() -> None:
    text = DOCUMENT.read_text()
    assert written(text, read_results()) == text, "run ./run configurations --table"
    lines = [cells(line) for line in text.splitlines() if re.match(r"\| `[\d.]+-", line)]
    assert [line[0].split("`")[1] for line in lines] == [row.name for row in ROWS]
    assert {len(line) for line in lines} == {1 + len(PARTS)}
    assert all(re.match("(equal|different|not run)", cell) for line in lines for cell in line[1:])


def test_every_result_belongs_to_a_row() -> None:
    assert {path.stem for path in RESULTS.glob("*.json")} <= {row.name for row in ROWS}


# --- What the table says


def row_of(result: Result | None, **changes: object) -> list[str]:
    row = replace(ROWS[0], **changes)  # type: ignore[arg-type]
    [line] = [line for line in table({row.name: result} if result else {}).splitlines() if f"`{row.name}`" in line]
    return cells(line)


def test_a_cell_says_what_was_compared_and_how_many() -> None:
    assert row_of(RESULT) == [
        "`6.1-debian`: 6.1.9-amd64, gcc 12: Debian's",
        *("equal: 8 samples, a, b, c", "equal", "equal: 700 named, 200 random", "equal: 8 samples"),
    ]


def test_a_cell_says_where_only_a_part_of_the_loader_is_known() -> None:
    partly = Outcome("equal", {"named": 300, "random": 0})
    assert row_of(RESULT.with_outcome("check", partly))[3] == "equal: 300 named, as far as its loader is known"


def test_a_cell_never_says_equal_of_what_was_not_compared_or_differs() -> None:
    assert row_of(None)[1:] == ["not run yet"] * 4
    assert row_of(replace(RESULT, outcomes={}))[1:] == ["not run yet"] * 4
    different = Outcome("different", {"samples": 8}, differences=("a.ko: other | bytes\nmore", "b"))
    skipped = Outcome("not run", reason="no loader")
    found = row_of(RESULT.with_outcome("bytes", different).with_outcome("check", skipped))
    assert found[1:4] == ["different: 2 (`results/6.1-debian.json`)", "equal", "not run: no loader"]


def test_only_the_part_between_the_marks_is_written() -> None:
    text = DOCUMENT.read_text()
    changed = written(text, {"6.1-debian": replace(RESULT, release="9.9.9")})
    assert "9.9.9" in changed and "9.9.9" not in text
    assert written(changed, read_results()) == text
    assert written(f"{text}more\n", read_results()) == f"{text}more\n"


# --- What a result is


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = RESULT.with_outcome("run", Outcome("different", differences=("x", "y"), seconds=2.5))
    write_result("a", result, directory=tmp_path / "new")
    assert read_result("a", directory=tmp_path / "new") == result
    assert read_result("b", directory=tmp_path / "new") is None


def built(status: int = 0, output: str = "", **files: bytes) -> Build:
    return Build(status, output, {name.replace("_", "."): contents for name, contents in files.items()})


@pytest.mark.parametrize(
    ("oracle", "ours", "found"),
    [
        (built(a_ko=b"1"), built(a_ko=b"1"), []),
        (built(a_ko=b"1"), built(a_ko=b"2"), ["a.ko: other bytes than make's"]),
        (built(a_ko=b"1"), built(b_ko=b"1"), ["other files than make's: ['a.ko', 'b.ko']"]),
        (built(a_ko=b"1"), built(1, "no", a_ko=b"1"), ["make builds it, kbuildpy does not: no"]),
        (built(2), built(0), ["make does not build it, kbuildpy does"]),
        (built(2, "a.c:1: error: x"), built(1, "a.c:1: error: x"), []),
        (built(2, "a.c:1: error: x"), built(1, "a.c:1: error: y"), ["make says a.c:1: error: x"]),
        (built(0, "/m/a.o: warning: x"), built(0, "/m/build/6.1.9/a.o: warning: x"), []),
        (built(0, "a.c:1: warning: x"), built(), ["other messages than make's: ['a.c:1: warning: x']"]),
    ],
)
def test_each_way_to_differ_from_make_is_found(oracle: Build, ours: Build, found: list[str]) -> None:
    assert list(differences_of(oracle, ours)) == found


# --- The script

TREE = KernelTree(Path("/objects"), Path("/source"), "6.1.9")


@dataclass(frozen=True)
class MadeUp:
    """A kernel that nobody built."""

    identity: str = "one"
    tree: KernelTree = TREE
    compiler: str = "gcc 12"
    earlier: bool = False


class Script:
    """The script, with kernels and comparisons that are made up: it notes what it compares."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.compared, self.kernel = place, [], MadeUp()  # type: tuple[Path, list[str], MadeUp]
        self.outcomes = dict(EQUAL)
        self.error: BaseException | None = None
        (place / "trees.md").write_text(DOCUMENT.read_text())
        monkeypatch.setattr(script, "kernel_of", self._kernel_of)
        for part in PARTS:
            monkeypatch.setitem(COMPARISONS, part, self._comparing(part))
        monkeypatch.setattr(script, "DOCUMENT", place / "trees.md")
        monkeypatch.setattr(script, "read_result", lambda name: read_result(name, directory=place))
        monkeypatch.setattr(script, "write_result", lambda name, found: write_result(name, found, directory=place))
        monkeypatch.setattr(script, "read_results", lambda: {"6.1-debian": self.result})

    @property
    def result(self) -> Result:
        found = read_result("6.1-debian", directory=self.place)
        assert found is not None
        return found

    def __call__(self, *words: str) -> tuple[int, list[str]]:
        """The exit status, and what was compared."""
        self.compared.clear()
        return script.main(["6.1-debian", *words]), [*self.compared]

    @contextmanager
    def _kernel_of(self, row: Row, *, as_is: bool) -> Iterator[MadeUp]:
        if self.error is not None:
            raise self.error
        yield replace(self.kernel, earlier=as_is)

    def _comparing(self, part: str) -> Callable[[Row, Kernel, Path], Outcome]:
        def compare(row: Row, kernel: Kernel, scratch: Path) -> Outcome:
            assert isinstance(row.kernel, Packaged) and not [*scratch.iterdir()]
            self.compared.append(part)
            return self.outcomes[part]

        return compare


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    return Script(tmp_path, monkeypatch)


def test_what_is_equal_is_not_compared_again_unless_that_is_asked_for(run: Script) -> None:
    run.outcomes["check"] = Outcome("different", differences=("x",))
    assert run() == (1, [*PARTS])
    run.outcomes["check"] = EQUAL["check"]
    assert run() == (0, ["check"])
    assert run() == (0, [])
    assert run("--again", "--part", "run") == (0, ["run"])
    assert "equal: 700 named, 200 random" in (run.place / "trees.md").read_text()


def test_a_kernel_with_other_options_than_today_is_told_apart(run: Script) -> None:
    assert run("--as-is") == (0, [*PARTS])
    assert "Debian's (built with earlier options)" in (run.place / "trees.md").read_text()


def test_what_was_compared_with_another_kernel_counts_no_more(run: Script) -> None:
    assert run() == (0, [*PARTS])
    run.kernel = MadeUp("two")
    assert run("--part", "bytes") == (0, ["bytes"])
    assert {*run.result.outcomes} == {"bytes"}


def test_an_interrupted_call_goes_on_with_what_is_missing(run: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Outcome:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(COMPARISONS, "check", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert {*run.result.outcomes} == {"bytes", "modpost"}
    assert run() == (0, ["check", "run"])


def test_a_kernel_that_cannot_be_had_is_not_run_and_does_not_replace_a_result(run: Script) -> None:
    run.error = pytest.skip.Exception("no clang-19")
    assert run() == (0, [])
    assert {outcome.reason for outcome in run.result.outcomes.values()} == {"no clang-19"}
    assert "not run: no clang-19" in (run.place / "trees.md").read_text()
    run.error = None
    assert run() == (0, [*PARTS])
    run.error = pytest.skip.Exception("no clang-19")
    assert run() == (0, [])
    assert run.result.is_done("bytes")


def test_a_kernel_that_does_not_build_is_a_failure(run: Script, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    run.error = KbuildError("the kernel does not build")
    assert run() == (1, [])
    assert "6.1-debian: no kernel: the kernel does not build" in capsys.readouterr().out


def test_a_name_of_no_row_is_told_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        script.main(["6.1-debain"])
    assert ended.value.code == 2
    assert "did you mean 6.1-debian?" in capsys.readouterr().err
    assert [row.name for row in script.chosen(["*-rt"])] == [row.name for row in ROWS if row.name.endswith("-rt")]
