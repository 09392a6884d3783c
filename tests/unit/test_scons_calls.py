# SPDX-License-Identifier: GPL-2.0-only
"""What an SConstruct asks for and nobody knows is refused when it is read, by one error that names the call.

No kernel tree is needed for that: it is looked for only when all keywords are right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import SCons.Environment
import SCons.Errors
import SCons.Node.FS

from kbuildpy.scons import generate

PATHS = {"ko": "x.ko", "two": ["x.ko", "y-z.ko.xz"], "folder": "known_folder", "none": []}
UNKNOWN = {
    "CheckModule(ko, sig_enfore=True)": "there is no keyword sig_enfore; did you mean sig_enforce?\n  the keywords are",
    "CheckModule(ko, SIG_ENFORCE=1)": "there is no keyword SIG_ENFORCE; did you mean sig_enforce?\n  the keywords are",
    "CheckModule(ko, kernel='6.1')": "there is no keyword kernel\n  the keywords are params",
    "CheckModule(ko, O='out')": "there is no keyword O\n",
    "RunModule(ko, parms='a=1')": "there is no keyword parms; did you mean params?\n  the keywords are params, dyndbg",
    "SignModule(ko, key='k', certificate='c')": "SignModule: there is no keyword certificate\n  the keywords are key",
    "InstallModules(None, ko, kye='k')": "InstallModules: there is no keyword kye\n  the keywords are key, cert, hash",
}
WRONG = {
    "CheckModule(none)": "CheckModule: no modules to check",
    "CheckModule(5)": "CheckModule: '5' is not a file",
    "CheckModule(folder)": "CheckModule: 'known_folder' is not a file",
    "CheckModule(ko, params=5)": "CheckModule: params=5 is neither a string nor a mapping",
    "CheckModule(ko, params=['a=1'])": "CheckModule: params=['a=1'] is neither a string nor a mapping",
    "CheckModule(ko, params={'x': 1})": "CheckModule: params of x=1 is not a string",
    "CheckModule(two, params={'z': ''})": "CheckModule: params of z, which is not among the modules (x, y_z)",
    r"CheckModule(ko, params='\ud800')": r"CheckModule: params='\ud800' is not a string",
    "CheckModule(ko, sig_enforce='0')": "CheckModule: sig_enforce='0' is neither True nor False",
    "CheckModule(ko, lockdown='yes')": "CheckModule: lockdown='yes' is neither True nor False",
    "CheckModule(ko, blacklist=[5])": "CheckModule: blacklist=5 is not a string",
    "CheckModule(ko, cert='none.crt')": "CheckModule: cert='none.crt': there is no such file",
    "CheckModule(ko, cert=5)": "CheckModule: cert: '5' is not a file",
    "RunModule(none)": "RunModule: no modules to run",
    "RunModule(ko, params=5)": "RunModule: params=5 is neither a string nor a mapping",
    "RunModule(two, params='a=1')": "RunModule: params='a=1': of which module?",
    r"RunModule(ko, params='a\nb')": r"RunModule: parameters are one line: 'a\nb'",
    "RunModule(ko, dyndbg='no')": "RunModule: dyndbg='no' is neither True nor False",
    "RunModule(ko, timeout='x')": "RunModule: timeout='x': seconds",
    "RunModule(ko, timeout=0)": "RunModule: timeout=0: seconds",
    "RunModule(ko, timeout=True)": "RunModule: timeout=True: seconds",
    "RunModule(ko, memory='zz')": "RunModule: memory='zz': MiB",
    "RunModule(ko, kernels='--with')": "RunModule: kernels='--with': no name behind --with",
    "RunModule(ko, kernels='--with kasan,')": "RunModule: kernels='--with kasan,': no name behind --with",
    "RunModule(ko, kernels=['6.1 6.12'])": "RunModule: kernels='6.1 6.12': not a kernel\n  kernels=['6.12.*', ",
    "RunModule(ko, kernels=['--llvm'])": "RunModule: kernels='--llvm': --llvm is for --with",
    "RunModule(ko, kernels=['--rust'])": "RunModule: kernels='--rust': not a kernel",
    'RunModule(ko, kernels="6.1 \'")': "No closing quotation",
    "RunModule(ko, kernels=[' '])": "RunModule: kernels has an empty word",
    "RunModule(ko, kernels=5)": "RunModule: kernels=5 is not a string",
    "RunModule(ko, kernels='6.1', KDIR='x')": "RunModule: kernels and KDIR both choose kernels",
    "RunModule(ko, memory=63)": "RunModule: memory=63: MiB",
    "RunModule(ko, append=4)": "RunModule: append=4 is not a string",
    "SignModule(ko)": "SignModule: no key to sign with",
    "SignModule(ko, key=5)": "SignModule: key=5 is not a string",
    "SignModule(ko, key='k', key_id='no')": "SignModule: key_id='no' is neither True nor False",
    "InstallModules(None)": "InstallModules: no modules\n  name them: InstallModules(None, ko)",
    "InstallModules(ko, ko)": "InstallModules: x.ko is no directory",
    "SignModule(key='k')": "SignModule: no modules\n  name them: SignModule(ko",
    "CheckModule()": "CheckModule: no modules\n",
    "CheckModule(ko, source=ko)": "CheckModule: modules are named twice",
    "RunModule()": "RunModule: no modules\n",
    "KernelModule()": "KernelModule: no module and no sources",
    "KernelModule(5)": "KernelModule: '5' is not a file",
    "KernelModule('x', 5)": "KernelModule: x: '5' is not a file",
    "KernelModule('x', [None])": "KernelModule: x: 'None' is not a file",
    "KernelModule('x', folder)": "KernelModule: x: 'known_folder' is not a file",
    "KernelModule('x', 'a.c b.c')": "'a.c b.c', with a space\n  a list names several: Split('a.c b.c')",
    "KernelModule(['a.c', 'b.c'])": "of 2 sources needs a name\n  add a name: KernelModule('NAME', ['a.c', 'b.c'])",
    "KernelModule([])": "KernelModule: no sources",
    "KernelModule(['x', 'y'], 'x.c')": "KernelModule: 2 targets",
    "KernelModule('sub/x', 'x.c')": "'sub/x' is not the name of a module\n  give the name alone, 'x'",
    "KernelModule(env.File('sub/x.ko'), 'x.c')": "'sub/x.ko' is not the name of a module\n  give the name alone, 'x'",
    "KernelModule(5, 'x.c')": "KernelModule: 5 is not the name of a module",
    "Kbuild()": "Kbuild: no directory",
    "Kbuild([])": "Kbuild: no directory",
    "Kbuild(5)": "Kbuild: '5' is not a directory",
    "Kbuild(env.File('x.c'))": "Kbuild: x.c is no directory",
    "InstallModules(None, 5)": "InstallModules: '5' is not a file",
    "InstallModules(None, ko, hash=5)": "InstallModules: hash=5 is not a string",
}


@pytest.mark.parametrize("call", [*UNKNOWN, *WRONG])
def test_a_wrong_call_is_refused_with_its_name_and_the_reason(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kbuildpy.scons.session.Session.find_tree", _no_tree)
    # (a path is a file or a directory to SCons, whatever named it first)
    monkeypatch.setattr(SCons.Node.FS, "default_fs", None)
    env: Any = SCons.Environment.Environment(tools=[generate])
    env.Dir(PATHS["folder"])
    env.File(PATHS["ko"])
    with pytest.raises(SCons.Errors.StopError) as stopped:
        eval(f"env.{call}", {"env": env, **PATHS})
    assert str(stopped.value).startswith(f"kbuildpy: {call.partition('(')[0]}: ")
    assert (UNKNOWN | WRONG)[call] in str(stopped.value)


def _no_tree(*_: Any, **__: Any) -> None:
    raise AssertionError("a kernel was looked for")
