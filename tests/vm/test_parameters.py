# SPDX-License-Identifier: GPL-2.0-only
"""The stage that sets parameters says what real kernels say: one module with every kind of parameter, many arguments.

`KBUILDPY_SEED` repeats the random ones of an earlier run, whose seed the test prints.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from kbuildpy.elf.headers import read_ehdr, read_shdrs
from kbuildpy.kernel.tree import KernelTree
from kbuildpy.loader.kernel import LoaderKernel
from kbuildpy.loader.parameters.parse_args import copy_args, parse_args
from kbuildpy.loader.stages.taints import ORDER
from kbuildpy.loader.verdict import Refusal, Undefined
from kbuildpy.run import run
from kbuildpy.signing.file_key import FileKey
from kbuildpy.signing.hashes import find_hash
from kbuildpy.signing.public_key import key_algorithm
from kbuildpy.signing.signer import Signer, sign_module
from tests.support.guest_kernels import image_of, tree_called
from tests.support.kernel_trees import swept
from tests.support.keys import new_key, short_certificate
from tests.support.loader_info import load_info, sentences
from tests.support.packages import NEWEST, other_compiler
from tests.support.system_calls import Answer, Call, as_logged, make_calls
from tests.support.trusting_kernels import KEYS, trusting_kernel

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="qemu-system-x86_64 is not installed"),
]

TYPES = {
    "byte": "unsigned char",
    "short": "short",
    "ushort": "unsigned short",
    "int": "int",
    "uint": "unsigned int",
    "long": "long",
    "ulong": "unsigned long",
    "ullong": "unsigned long long",
    "hexint": "unsigned int",
    "charp": "char *",
    "bool": "bool",
    "invbool": "bool",
    "bint": "int",
}
ARRAYS = ("byte", "short", "int", "ullong", "charp", "bool", "invbool", "bint")

SOURCE = r"""
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

%(declarations)s

static char room[8], cell[1];
module_param_string(string8, room, sizeof(room), 0444);
module_param_string(string1, cell, sizeof(cell), 0);

static int risk, with_underscores;
module_param_unsafe(risk, int, 0644);
module_param(with_underscores, int, 0644);

static int port;
module_param_hw(port, int, ioport, 0);

static int low;
static const struct kernel_param_ops own_low = { .set = param_set_int, .get = param_get_int };
module_param_cb(low, &own_low, &low, 0644);
static const struct kernel_param_ops own_flag = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG, .set = param_set_bool, .get = param_get_bool,
};
static bool flag;
module_param_cb(flag, &own_flag, &flag, 0644);

static bool once, always = true;
module_param(once, bool_enable_only, 0644);
module_param(always, bool_enable_only, 0644);

static unsigned int given = 1;
static int one[1];
module_param_array(one, int, &given, 0444);

static int even_set(const char *text, const struct kernel_param *param)
{
	int err = param_set_int(text, param);

	if (!err && *(int *)param->arg %% 2)
		err = -EDOM;
	return err;
}
static const struct kernel_param_ops even_ops = { .set = even_set, .get = param_get_int };
static int even;
module_param_cb(even, &even_ops, &even, 0644);

static int __init every_parameter_init(void)
{
	return 0;
}
module_init(every_parameter_init);

static void __exit every_parameter_exit(void)
{
}
module_exit(every_parameter_exit);

MODULE_LICENSE("GPL");
"""

FATAL_SOURCE = r"""
#include <linux/module.h>
#include <linux/moduleparam.h>

static int nowhere;
module_param_call(unsettable, NULL, param_get_int, &nowhere, 0444);
static const struct kernel_param_ops reading_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG, .set = param_set_int, .get = param_get_int,
};
module_param_cb(reading, &reading_ops, &nowhere, 0444);
static const int fixed_number = 1;
module_param_cb(fixed, &param_ops_int, (void *)&fixed_number, 0444);
module_param_cb(nowhere, &param_ops_int, NULL, 0444);

MODULE_LICENSE("GPL");
"""

NUMBERS = (
    "", "0", "-0", "+0", "+", "-", "1", "+1", "-1", "--1", "+-1", "-+1", "007", "08", "0x", "0X1f", "0xg", "x1", "1x",
    " 1", "1e3", "1.0", "127", "128", "255", "256", "-128", "32767", "32768", "-32768", "-32769", "65535", "65536",
    "2147483647", "2147483648", "-2147483648", "-2147483649", "4294967295", "4294967296",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "18446744073709551616x", "-18446744073709551615",
    "0xffffffffffffffff", "0x10000000000000000", "01777777777777777777777", "02000000000000000000000",
    "99999999999999999999999999999999", "0" * 60 + "7", "٣",
)  # fmt: skip
TRUTHS = ("", "1", "0", "2", "y", "Yes", "n", "NO", "t", "true", "F", "on", "OFF", "o", "of", "ox", "enable", "Disable",
          "e", "d", " y", "-1")  # fmt: skip
DYNDBG = (
    "+p", "", "p", "=", "-_", "+pmfltx", "+s", "+d", "=_", "file a.c +p", "file a.c", "a b c +p", "func f func g +p",
    "file a.c:f +p", "file a.c:3-9 +p", "file a.c:f func g +p", "file a.c:3 line 4 +p", "file a.c file b.c:7 +p",
    "line 5-3 +p", "line x +p", "line 4294967295-4294967294 +p", "line - +p", "line 3- +p",
    "line +3 +p", "line 1-2-3 +p",
    "line 0x10 +p", "module m module n +p", "class X +p", "format 'a b' +p", "format 'a +p", "'' +p", "''",
    "format \\141\\n\\e\\q format b +p", "1 2 3 4 5 6 7 8 9 10", "1 2 3 4 5 6 7 8 +p", "+p; +q; # a; =x", "#", ";;",
    "func x +p # comment", "func 'x'y +p", "func x\n+p", "level 3 +p",
)  # fmt: skip
WRITTEN = [
    "", " ", "\t\n", "int=5", "  int=5  ", "int = 5", "int=", "int", "=5", "==5", "=a=b", "int==5", "INT=5",
    "with-underscores=3", "with_underscores=x", "with-under_scores=x", "_with=1", "-", "--", "-- int=x", "int=x --",
    "int=x -- y", "int=1 -- rest of it", "int=1 --  two  spaces ", "--=1", "--x", "---", '"--"', '"--" x', "-- ",
    '"int=5"', '"int"=5', 'int="5"', 'int="5', 'int=5"', 'int="5"x', '"int=5', '"int="5""', '"', '""',
    '"" int=x', 'int="',
    '"int=', 'charp="a b"', 'charp=a" b', 'charp="a" b"', 'charp=a"b c"d int=x', '"charp=a b" int=x', 'int="5\n"',
    'int="5\n\n"', 'int="5 "', 'int=" 5"', "int=x int=5", "int=5 int=x", "int=x byte=999", "byte=999 int=x",
    "int=999999999999 charp=" + "x" * 1025, "charp=" + "x" * 1025 + " int=y", "unknown", "unknown=5", "un.known=5",
    ".=x", ".", "a.b.c", "unknown=" + "x" * 2000, "x" * 1200, "async_probe", "async_probe=x", "async-probe=1",
    "async_probe=0", "charp", "charp=", "charp=" + "x" * 1023, "charp=" + "x" * 1024, "charp=" + "x" * 1025,
    "charp=" + "x" * 940 + "é", "charp=" + "é" * 512, "charp=" + "é" * 513, "int=" + "y" * 910, "int=" + "y" * 960,
    *(f"int={'z' * length}" for length in range(925, 985, 3)),
    "string8=1234567", "string8=12345678", "string8=", "string8", 'string8="a b c d"', "string8=ééé", "string8=éééé",
    "string1=", "string1=x", "one=1", "one=1,2", "one=,", "one=x,1", "risk=1", "risk=x", "risk", "risk=1 risk=2",
    "port=5", "port=x", "low=5", "low=x", "low", "flag", "flag=x", "flag=1", "once=0", "once=1", "once=1 once=0",
    "once=0 once=1 once", "once",
    "once=on once=off", "once=t once=f", "once=OFF once=0", "always=of", "always=oN always=n",
    "always=0", "always=1", "always=0 once=x", "int_a=1,2,3", "int_a=1,2,3,4",
    "int_a=1,,3", "int_a=x,2", "int_a=1,x", "int_a=,", "int_a=1,", "int_a", "int_a=", 'int_a="1,2"', 'int_a="1, 2"',
    "int-a=1,2147483648", "charp_a=a,b,c", "charp_a=,,", "charp_a=,,,", "charp_a=" + "x" * 1025,
    "charp_a=a," + "x" * 1025, "byte_a=1,256", "bool_a=y,n,q", "invbool_a=y,n,1", "bint_a=on,of,o", "bool_a",
    "short_a=-1,1",
    "int=5à", "int=à byte=x", "charp=àb int=x", "ü=1", "int=５", "unknown=\x01\x7f", "int=\\", "int=%s", "un%known=%d",
    "int='5'", "'int=5'", "int=5;byte=x", "int=5,byte=x", "a=b=c int=q=r", "charp=--", "charp -- ",
    "dyndbg", "every_parameter.dyndbg=+q", "other.dyndbg=+q", ".dyndbg=+q", "dyndbg.x=+q", "dyn-dbg", "a.dyndbg.dyndbg",
    "hexint=ff", "hexint=0xff", "invbool", "bint", "bool", "bool=1 bool=0 bool=", "level=1", "int=" + "0" * 1500 + "5",
]  # fmt: skip
TOO_LONG = "charp=" + "x" * (4 << 20)
ALPHABET = [
    '"',
    "=",
    " ",
    "-",
    "_",
    ",",
    ".",
    "0",
    "1",
    "x",
    "y",
    "é",
    "à",
    "\t",
    "int",
    "charp",
    "bool",
    "--",
    "dyndbg",
]
STRONG = ("int_a", "charp_a", "string8", "bool_a", "always", "risk", "with-underscores", *TYPES)

FATAL = ("unsettable=1", "reading", "fixed=1", "nowhere=1")
"""What kills who loads the module, and leaves it half loaded; so each is for a module of its own."""


def random_arguments(seed: str) -> list[str]:
    """Arguments that nobody thought of."""
    source = random.Random(seed)
    made = []
    for _ in range(60):
        made.append("".join(source.choice(ALPHABET) for _ in range(source.randint(1, 24))))
    for _ in range(60):
        words = []
        for _ in range(source.randint(1, 4)):
            values = [source.choice((*NUMBERS, *TRUTHS, "a b")) for _ in range(source.choice((1, 1, 1, 2, 3, 4)))]
            value = ",".join(values)
            quote = source.choice(("", '"', ""))
            words.append(f"{source.choice(STRONG)}={quote}{value}{quote}")
        made.append(" ".join(words))
    return made


@cache
def all_arguments() -> list[str]:
    seed = os.environ.get("KBUILDPY_SEED") or str(random.SystemRandom().randrange(10**9))
    print(f"KBUILDPY_SEED={seed}")
    return [
        *WRITTEN,
        *(f"{name}={value}" for name in TYPES if "bool" not in name and name != "charp" for value in _some(name)),
        *(f"{name}={value}" for name in ("bool", "invbool", "bint") for value in TRUTHS),
        *(f'dyndbg="{query}"' for query in DYNDBG),
        *random_arguments(seed),
    ]


def _some(name: str) -> tuple[str, ...]:
    """All numbers for two types, and for the others those that are near a limit."""
    near = tuple(number for number in NUMBERS if number.lstrip("-").isdecimal() and 2 < len(number) < 25)
    return NUMBERS if name in ("int", "ullong") else near


class Said(NamedTuple):
    """What a kernel answered: errno and lines, "crashed" as errno -1."""

    errno: int
    lines: tuple[str, ...]


class Trial(NamedTuple):
    """Modules by name, and what the kernel said to each with each string of arguments; `line` is that of the kernel."""

    line: str

    contents: dict[str, bytes]
    kernel: LoaderKernel
    answers: dict[tuple[str, str], Answer]


@pytest.fixture(scope="module", params=["6.12", *swept("6.1", NEWEST)])
def trial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    tree, place = tree_called(request.param), tmp_path_factory.mktemp("parameters")
    contents = build_modules(tree, place)
    tried = [("every_parameter", args) for args in ("", *all_arguments(), TOO_LONG, "even=2", "even=3")]
    tried += [(f"fatal{number}", args) for number, args in enumerate(FATAL)]
    calls = []
    for name, args in tried:
        calls += [("load", f"/{name}.ko", args), ("unload", name, "0")]
    files = {f"{name}.ko": module for name, module in contents.items()}
    answers = make_calls(image_of(tree), calls, files, place)
    # The first time, the kernel also says that it is tainted.
    answered = {(name, args): answer for (name, args), answer in zip(tried[1:], answers[2::2], strict=True)}
    kernel = LoaderKernel(tree.release, tree.version, "x86_64", config=tree.config)
    return Trial(request.param, contents, kernel, answered)


def build_modules(tree: KernelTree, place: Path) -> dict[str, bytes]:
    declarations = []
    for name, c_type in TYPES.items():
        declarations.append(f"static {c_type} a_{name}; module_param_named({name}, a_{name}, {name}, 0644);")
    for name in ARRAYS:
        declarations.append(f"static {TYPES[name]} s_{name}[3]; static int n_{name};")
        declarations.append(f"module_param_array_named({name}_a, s_{name}, {name}, &n_{name}, 0644);")
    directory = place / "modules"
    directory.mkdir()
    sources = {"every_parameter": SOURCE % {"declarations": "\n".join(declarations)}}
    sources |= {f"fatal{number}": FATAL_SOURCE for number in range(len(FATAL))}
    for name, source in sources.items():
        (directory / f"{name}.c").write_text(source)
    (directory / "Kbuild").write_text("".join(f"obj-m += {name}.o\n" for name in sources))
    run(
        [
            sys.executable,
            "-m",
            "kbuildpy",
            "build",
            directory,
            "-k",
            tree.objects,
            *other_compiler(tree),
            "-o",
            place / "out",
        ]
    )
    return {module.stem: module.read_bytes() for module in (place / "out").rglob("*.ko")}


class Prediction(NamedTuple):
    """What the stage says (None: nothing is promised), what it did not look at, and how it taints the kernel."""

    said: Said | None
    unchecked: list[str]
    taints: set[str]


def predict(trial: Trial, args: str, name: str = "every_parameter") -> Prediction:
    """What the stage says to a module that is loaded with `args`."""
    contents = trial.contents[name]
    info = load_info(contents, trial.kernel, args)
    info.hdr = read_ehdr(contents)
    info.sechdrs = read_shdrs(contents, info.hdr)
    info.index.sym = next(number for number, section in enumerate(info.sechdrs) if section.sh_type == 2)
    info.index.str = info.sechdrs[info.index.sym].sh_link
    info.index.mod = info.find_sec(".gnu.linkonce.this_module")
    info.mod_name = name
    # what the module imports is known by name
    info.values = [None] * len(info.symbols)
    number = 0
    try:
        copy_args(info)
        parse_args(info)
    except Refusal as refusal:
        assert refusal.line is None or refusal.line in info.journal.lines
        number = getattr(errno, refusal.errno)
    except Undefined:
        return Prediction(None, sentences(info), info.taints.kernel)
    lines = tuple(part for line in info.journal.lines for part in as_logged(line))
    return Prediction(Said(number, lines), sentences(info), info.taints.kernel)


def test_says_what_the_kernel_says(trial: Trial) -> None:
    args = {*all_arguments(), TOO_LONG}
    assert len(args) > 150
    wrong = []
    for arg in sorted(args):
        answer = trial.answers["every_parameter", arg]
        predicted, unchecked, _ = predict(trial, arg)
        if predicted != Said(answer.errno, answer.log) or unchecked:
            wrong.append((arg, answer.errno, answer.log, predicted, unchecked))
    refused = sum(trial.answers["every_parameter", arg].errno != 0 for arg in args)
    print(f"{trial.kernel.release}: {len(args)} strings of arguments, {refused} refused")
    assert wrong == []


def test_leaves_open_what_only_the_code_of_the_module_can_tell(trial: Trial) -> None:
    assert [trial.answers["every_parameter", f"even={value}"].errno for value in (2, 3)] == [0, errno.EDOM]
    for value in (2, 3):
        said, unchecked, _ = predict(trial, f"even={value}")
        assert said == Said(0, ())
        assert unchecked == ["the value of parameter even: it is judged by even_set, not by kernel/params.c"]


@pytest.mark.parametrize(("number", "args"), list(enumerate(FATAL)))
def test_promises_nothing_where_the_kernel_crashes(trial: Trial, number: int, args: str) -> None:
    crashed = trial.answers[f"fatal{number}", args]
    assert crashed.errno == -1
    assert any(line.startswith("BUG: ") for line in crashed.log)
    assert predict(trial, args, f"fatal{number}").said is None


def test_a_kernel_that_is_locked_down_sets_no_parameter_of_hardware(trial: Trial, tmp_path: Path) -> None:
    """It takes signed modules only: ours, when it trusts our certificate."""
    key = new_key(KEYS[trial.line])
    certificate = short_certificate(key)
    signer = Signer(FileKey(key_algorithm(key), key), certificate, find_hash("sha256"))
    signed = sign_module(trial.contents["every_parameter"], signer) or b""
    image = trusting_kernel(image_of(tree_called(trial.line)), certificate, tmp_path)
    tried = ("", "port=5", "port=x", "port", "int=5 port=5 int=6", "port=5 int=x", "risk=1")
    tainted = ("print", "/proc/sys/kernel/tainted")
    calls: list[Call] = []
    for args in tried:
        calls += [("load", "/signed.ko", args), ("unload", "every_parameter", "0"), tainted]
    answers = make_calls(image, calls, {"signed.ko": signed}, tmp_path, parameters=("lockdown=integrity", "nokaslr"))
    locked = trial._replace(kernel=replace(trial.kernel, lockdown=True))
    for args, answer in list(zip(tried, answers[::3], strict=True))[1:]:
        predicted = predict(locked, args).said
        assert predicted is not None
        lines = tuple(line.replace("<comm>", "init") for line in predicted.lines)
        assert (args, predicted.errno, lines) == (args, answer.errno, answer.log)
    assert answers[3].errno == errno.EPERM
    user = 1 << ORDER.index("U")
    assert ["U" in predict(locked, args).taints for args in tried] == [
        bool(int(answer.lines[0]) & user) for answer in answers[2::3]
    ]
