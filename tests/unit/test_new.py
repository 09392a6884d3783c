# SPDX-License-Identifier: GPL-2.0-only
"""`kbuildpy new`: what it writes, and what it refuses. Whether the projects build and run is for tests/vm/templates."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kbuildpy.execute import Completed
from kbuildpy.kernel.names_in_use import names_in_use
from kbuildpy.run import run
from kbuildpy.scaffold.library import own_templates
from kbuildpy.scaffold.licenses import MODULE_LICENSES, spdx_expression
from kbuildpy.scaffold.render import c_string
from tests.support.command_line import Called, call


def new(*words: str | Path, cwd: Path, **variables: str) -> Called:
    return call("new", *words, cwd=cwd, **variables)


def refused(done: Called | Completed, place: Path, *, status: int = 2) -> str:
    """The error of a call that left nothing behind."""
    assert done.returncode == status, done.error_text
    assert "Traceback" not in done.error_text
    assert done.error_text.count("kbuildpy: error: ") == 1
    assert list(place.iterdir()) == []
    return done.error_text


def template(folder: Path, manifest: str = 'summary = "mine"\n', **files: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "template.toml").write_text(manifest)
    for name, text in {"NAME.c.j2": "// {{ name }}\n", **files}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "place"
    found.mkdir()
    return found


# --- What is written.


def test_a_project_has_all_that_a_module_needs(place: Path) -> None:
    done = new("hello", "demo", "--author", "Me <me@example.org>", cwd=place)
    assert done.returncode == 0, done.error_text
    assert [path.name for path in place.iterdir()] == ["demo"]
    names = {path.relative_to(place / "demo").as_posix() for path in (place / "demo").rglob("*") if path.is_file()}
    assert names >= {
        *("demo.c", "SConstruct", "Kbuild", "Makefile", "dkms.conf", "README.md", ".gitignore", ".clang-format"),
        *(".editorconfig", "tests/demo.sh", ".github/workflows/module.yml", ".gitlab-ci.yml"),
    }
    assert not any(name.endswith(".j2") or "NAME" in name for name in names)
    assert os.access(place / "demo/tests/demo.sh", os.X_OK)
    assert f"({len(names)} files)" in done.text


def test_a_project_in_rust_has_what_rust_takes_and_no_machine_that_lacks_it(place: Path) -> None:
    words = ("--author", 'J\u00f6rg "Joe" \u0152 <joe@example.org>', "--description", 'a \\ and "quotes", \u00fc')
    assert new("rust", "demo", *words, cwd=place).returncode == 0
    source = (place / "demo/demo.rs").read_text()
    # (module! takes names of authors in ASCII only)
    assert r'authors: ["Jorg \"Joe\" ? <joe@example.org>"],' in source
    assert 'description: "a \\\\ and \\"quotes\\", \u00fc",' in source
    assert (place / "demo/Kbuild").read_text().endswith("obj-m += demo.o\n")
    assert os.access(place / "demo/tests/demo.sh", os.X_OK)
    assert not (place / "demo/.gitlab-ci.yml").exists()
    assert not (place / "demo/.github").exists()
    assert 'BUILD_EXCLUSIVE_CONFIG="CONFIG_RUST"' in (place / "demo/dkms.conf").read_text()


def test_every_template_renders_with_each_option_and_each_kernel(place: Path) -> None:
    listed = [json.loads(line) for line in new("--list", "--format", "json", cwd=place).text.splitlines()]
    assert {item["name"] for item in listed} >= {"hello", "misc"}
    for item in listed:
        assert {"name", "summary", "kernels", "devices"} <= item.keys()
        assert re.fullmatch(r">=\d+\.\d+", item["kernels"])
        flips = [word for one in item["options"] for word in ("--without" if one["default"] else "--with", one["name"])]
        for number, words in enumerate(([], [*flips, "--kernel-min", "7.3"])):
            name = f"t{number}_{item['name'].replace('-', '_')}"
            done = new(item["name"], name, *words, cwd=place)
            assert done.returncode == 0, done.error_text
            texts = [path.read_text() for path in (place / name).rglob("*") if path.is_file()]
            assert not any("{{" in text.replace("${{", "") or "{%" in text for text in texts)
            sources = [path.read_text() for path in (place / name).rglob("*.[ch]")]
            # (what is for the newest kernel only has nothing to choose between)
            assert not words or "7.3" not in words or not any("LINUX_VERSION_CODE" in text for text in sources)


def test_the_list_says_what_options_there_are(place: Path) -> None:
    said = new("--list", cwd=place).text
    assert re.search(r"^hello +a module ", said, re.MULTILINE)
    assert re.search(r"^ +--without parameter: ", said, re.MULTILINE)


def test_an_option_that_is_not_wanted_leaves_no_trace(place: Path) -> None:
    assert new("misc", "demo", "--without", "poll,mmap", cwd=place).returncode == 0
    text = (place / "demo/demo.c").read_text() + (place / "demo/tests/demo_test.c").read_text()
    assert "poll" not in text and "mmap" not in text


def test_the_author_is_who_git_says(place: Path) -> None:
    config = place.parent / "gitconfig"
    config.write_text('[user]\n\tname = J\u00f6rg "Joe" M\u00fcller\n\temail = joe@example.org\n')
    name = run(["git", "config", "--get", "user.name"], env={**os.environ, "GIT_CONFIG_GLOBAL": str(config)}, cwd=place)
    assert new("hello", "demo", cwd=place, GIT_CONFIG_GLOBAL=str(config)).returncode == 0
    assert (
        f"MODULE_AUTHOR({c_string(name.text.strip() + ' <joe@example.org>')});" in (place / "demo/demo.c").read_text()
    )


@pytest.mark.parametrize(
    "text",
    [
        'say "hi"',
        "a \\ b \\",
        "#1 (100%)",
        "\u00c4rger \u2013 \u65e5\u672c",
        "what??/",
        "%s%n",
        "$HOME `id` ${x}",
        "it's {{ x }} {% y %}",
    ],
)
def test_odd_characters_come_out_as_they_went_in(text: str, place: Path) -> None:
    done = new("hello", "demo", "--description", text, "--author", text, cwd=place)
    assert done.returncode == 0, done.error_text
    source = (place / "demo/demo.c").read_text()
    # The compiler is the judge: what does the literal hold?
    program = place / "program.c"
    literals = re.findall(r"^MODULE_(?:AUTHOR|DESCRIPTION)\((.*)\);$", source, re.MULTILINE)
    assert len(literals) == 2
    for literal in literals:
        program.write_text(f"#include <stdio.h>\nint main(void) {{ fputs({literal}, stdout); return 0; }}\n")
        run(["gcc", "-std=gnu11", "-trigraphs", "-o", place / "program", program])
        assert run([place / "program"]).stdout.decode() == text
    assert text in (place / "demo/README.md").read_text()


@pytest.mark.parametrize("option", ["--author", "--description"])
@pytest.mark.parametrize("text", ["two\nlines", "a\x00b"[:1] + "\x1b[31m", "", "  ", "\udcff"])
def test_what_is_no_line_of_text_is_refused(option: str, text: str, place: Path) -> None:
    said = refused(new("hello", "demo", option, text, cwd=place), place)
    assert option in said


def test_each_licence_is_declared_as_the_kernel_has_it(place: Path) -> None:
    for number, (expression, declared) in enumerate(MODULE_LICENSES.items()):
        assert new("hello", f"demo{number}", "--license", expression, cwd=place).returncode == 0
        text = (place / f"demo{number}/demo{number}.c").read_text()
        assert text.startswith(f"// SPDX-License-Identifier: {expression}\n")
        assert f'MODULE_LICENSE("{declared}");' in text


def test_a_licence_may_be_written_in_other_ways() -> None:
    assert spdx_expression("MIT OR GPL-2.0-only") == "GPL-2.0-only OR MIT"
    assert spdx_expression("GPL-2.0+") == "GPL-2.0-or-later"
    assert spdx_expression("gpl-2.0-ONLY") == "GPL-2.0-only"


def test_the_files_of_a_project_are_what_their_readers_take(place: Path) -> None:
    assert new("hello", "demo", cwd=place).returncode == 0
    project = place / "demo"
    run(["bash", "-n", project / "dkms.conf"])
    run(["sh", "-n", project / "tests/demo.sh"])
    run([sys.executable, "-m", "py_compile", project / "SConstruct"])
    values = run(
        ["bash", "-c", '. ./dkms.conf; echo "$PACKAGE_NAME/${BUILT_MODULE_NAME[0]}/$AUTOINSTALL"'], cwd=project
    )
    assert values.text == "demo/demo/yes\n"


# --- What is refused.


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("my-module", "my_module would do"),
        ("9lives", "m9lives would do"),
        ("a b", "a_b would do"),
        ("\u00e4", "letters, digits and _"),
        ("a/b", "letters, digits and _"),
        ("..", "letters, digits and _"),
        ("int", "word of the C language"),
        ("linux", "word of the C language or a macro"),
        ("x" * 56, "56 characters"),
    ],
)
def test_a_name_that_is_none_for_a_module_is_refused(name: str, why: str, place: Path) -> None:
    assert why in refused(new("hello", name, cwd=place), place)


def test_the_longest_name_is_taken(place: Path) -> None:
    assert new("hello", "x" * 55, cwd=place).returncode == 0


def test_the_names_of_all_modules_count(place: Path) -> None:
    assert "'xxx" in refused(new("library", "x" * 51, cwd=place), place)
    assert new("library", "x" * 50, cwd=place).returncode == 0


def test_a_name_of_the_kernels_own_is_refused(place: Path) -> None:
    taken = names_in_use()
    if not taken:
        pytest.skip("no kernel is installed, not even its headers")
    assert taken["usbcore"]
    said = refused(new("hello", "usbcore", cwd=place), place)
    assert "one of the kernel's own modules" in said


def test_names_are_found_in_each_of_the_places_where_a_kernel_lists_them(tmp_path: Path) -> None:
    directory = tmp_path / "lib/modules/1.2.3"
    (directory / "kernel").mkdir(parents=True)
    (directory / "modules.dep").write_text("kernel/drivers/One-Two.ko.xz:\nupdates/mine.ko:\n")
    (directory / "modules.builtin").write_text("kernel/fs/three.ko\n")
    (directory / "modules.builtin.modinfo").write_bytes(b"four.license=GPL\0")
    found = names_in_use(tmp_path)
    assert found == {"one_two": "1.2.3", "three": "1.2.3", "four": "1.2.3"}


def test_a_directory_that_is_there_is_left_alone(place: Path) -> None:
    (place / "demo").mkdir()
    done = new("hello", "demo", cwd=place)
    assert done.returncode == 2 and "demo: exists already" in done.error_text
    assert list((place / "demo").iterdir()) == []
    (place / "link").symlink_to("nowhere")
    assert new("hello", "demo", "-o", "link", cwd=place).returncode == 2
    assert new("hello", "demo", "-o", place / "a/b", cwd=place).returncode == 2
    assert sorted(path.name for path in place.iterdir()) == ["demo", "link"]


def test_an_unknown_template_is_guessed(place: Path) -> None:
    assert "did you mean misc" in refused(new("mics", "demo", cwd=place), place)
    assert "--list shows all" in refused(new("quite-something-else", "demo", cwd=place), place)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["hello", "demo", "--license", "Proprietary"], "compatible"),
        (["hello", "demo", "--license", ""], "compatible"),
        (["hello", "demo", "--kernel-min", "5.10"], "for kernels from 6.1 on"),
        (["hello", "demo", "--kernel-min", "new"], "not the version of a kernel"),
        (["hello", "demo", "--with", "wings"], "no such option"),
        (["hello", "demo", "--without", ""], "no such option"),
        (["hello"], "NAME is missing"),
        ([], "TEMPLATE and NAME are missing"),
        (["./nowhere", "demo"], "no such folder"),
        (["hello", "demo", "--template-dir", "nowhere"], "No such file"),
        (["--list", "hello"], "--list"),
    ],
)
def test_a_wrong_call_is_refused(words: list[str], why: str, place: Path) -> None:
    assert why in refused(new(*words, cwd=place), place)


def test_a_place_that_cannot_be_written_is_named(place: Path) -> None:
    if os.geteuid() == 0:
        done = new("hello", "demo", "-o", "/proc/demo", cwd=place)
    else:
        place.chmod(0o555)
        done = new("hello", "demo", cwd=place)
        place.chmod(0o755)
    said = refused(done, place, status=1)
    assert "demo" in said


def test_a_full_disk_leaves_nothing(place: Path) -> None:
    # (a limit on the size of files is what a test can have of a full disk without privilege)
    words = [sys.executable, "-m", "kbuildpy", "new", "hello", "demo"]
    # (compiled modules would be cut off as well, and stay)
    script = 'trap "" XFSZ; ulimit -f 1; export PYTHONDONTWRITEBYTECODE=1; exec "$@"'
    done = run(["bash", "-c", script, "-", *words], cwd=place, check=False)
    said = refused(done, place, status=1)
    assert "demo: File too large" in said


# --- Templates of a user's own.


def test_a_folder_of_templates_adds_to_the_list_and_comes_first(place: Path) -> None:
    mine = place.parent / "mine"
    template(mine / "special")
    template(mine / "hello", 'summary = "another hello"\n')
    said = new("--list", "--template-dir", mine, cwd=place).text
    assert re.search(r"^special +mine$", said, re.MULTILINE)
    assert "another hello" in said
    assert new("special", "demo", "--template-dir", mine, cwd=place).returncode == 0
    assert (place / "demo/demo.c").read_text() == "// demo\n"
    assert new("hello", "demo2", "--template-dir", mine, cwd=place).returncode == 0
    assert (place / "demo2/demo2.c").read_text() == "// demo2\n"


def test_a_template_is_named_by_its_path(place: Path) -> None:
    template(place.parent / "special", **{"about.md.j2": "Something special.\n", "Kbuild": "obj-m += own.o\n"})
    assert new("../special", "demo", cwd=place).returncode == 0
    assert "Something special." in (place / "demo/README.md").read_text()
    # (a file of the template takes the place of a shared one)
    assert (place / "demo/Kbuild").read_text() == "obj-m += own.o\n"


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ("summary = \n", r"template\.toml:1: not TOML"),
        ('summary = "s"\n[options\n', r"template\.toml:2: not TOML"),
        ("", r"template\.toml: summary is missing"),
        ('summary = "s"\ncolour = "red"\n', r"template\.toml: unknown key colour"),
        ('summary = "s"\ndevices = "edu"\n', r"template\.toml: devices is not a list of strings"),
        ('summary = "s"\nkernels = "six"\n', r"template\.toml: kernels 'six'"),
        ('summary = "s"\n[options.x]\nsummary = "s"\n', r"template\.toml: options\.x\.default is missing"),
        ('summary = "s"\n[files]\n"a" = "nothing"\n', r"template\.toml: option 'nothing' is not among"),
        ('summary = "s"\n[[tests]]\n', r"template\.toml: tests\[0\]\.file is missing"),
        (
            'summary = "s"\n[[modules]]\nname = "NAME"\nsources = ["NAME.c", "part.c"]\n',
            r"template\.toml: modules\[0\]\.sources is not a list without NAME\.c",
        ),
    ],
)
def test_a_manifest_that_is_not_right_is_named_with_the_place(manifest: str, why: str, place: Path) -> None:
    template(place.parent / "special", manifest)
    assert re.search(why, refused(new("../special", "demo", cwd=place), place, status=1))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("one\ntwo {{ nmae }}\n", r"NAME\.c\.j2:2: 'nmae' is undefined"),
        ("{% if name %}\n", r"NAME\.c\.j2:1: "),
        ("a\n\n{{ name | nofilter }}\n", r"NAME\.c\.j2:3: "),
        ("{% include 'gone.j2' %}\n", r"NAME\.c\.j2: includes gone\.j2"),
        ("a\n{{ before('x', 2) }}\n", r"NAME\.c\.j2:2: "),
    ],
)
def test_a_template_that_cannot_be_rendered_is_named_with_the_line(text: str, why: str, place: Path) -> None:
    template(place.parent / "special", **{"NAME.c.j2": text})
    assert re.search(why, refused(new("../special", "demo", cwd=place), place, status=1))


def test_a_folder_without_a_manifest_is_no_template(place: Path) -> None:
    (place.parent / "special").mkdir()
    said = refused(new("../special", "demo", cwd=place), place, status=1)
    assert "template.toml is missing" in said


def test_each_folder_of_ours_has_a_manifest() -> None:
    folders = [path for path in (own_templates() / "modules").iterdir() if path.is_dir()]
    assert folders and [path.name for path in folders if not (path / "template.toml").is_file()] == []


# --- Questions.


def test_it_asks_on_a_terminal(place: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kbuildpy", "new"],
        cwd=place,
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(follower)
    # A wrong template, then a right one; a wrong name, then a right one; the defaults, and no to the option.
    os.write(leader, b"helo\nhello\nint\ndemo\n\nMe <me@example.org>\n\nmaybe\nn\n")
    output, errors = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 0, errors
    assert b"no template is called 'helo'" in errors and b"word of the C language" in errors
    assert b"'maybe' is neither yes nor no" in errors
    text = (place / "demo/demo.c").read_text()
    assert 'MODULE_AUTHOR("Me <me@example.org>");' in text
    assert "module_param" not in text
    assert b"Template: " in output


def test_an_end_of_the_answers_makes_nothing(place: Path) -> None:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kbuildpy", "new"],
        cwd=place,
        stdin=follower,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    os.close(follower)
    os.write(leader, b"hello\n\x04")
    _, errors = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 2
    assert b"no answer; nothing was made" in errors
    assert list(place.iterdir()) == []


def test_without_a_terminal_it_does_not_ask(place: Path) -> None:
    assert "missing" in refused(new(cwd=place), place)


def test_it_is_quick(place: Path) -> None:
    """Neither SCons nor cryptography is loaded to make a project."""
    code = "import sys; from kbuildpy.cli import main; main(['new', 'hello', 'demo']); print(*sys.modules)"
    loaded = run([sys.executable, "-c", code], cwd=place).text.split()
    assert "jinja2" in loaded
    assert not {"SCons", "cryptography", "elftools"} & set(loaded)
    shutil.rmtree(place / "demo")
