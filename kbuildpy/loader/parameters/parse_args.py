# SPDX-License-Identifier: GPL-2.0-only
"""The stage of load_module() that sets the module's parameters (kernel/params.c: parse_args).

The surprises: after an argument that cannot be set, the kernel sets the other ones, and returns the last error. A
parameter that the module does not have is not an error. The level of a parameter does not matter, because the kernel
sets all levels of a module at once.
"""

from __future__ import annotations

from kbuildpy.loader.facts import Fact
from kbuildpy.loader.hints import PARAMETER_TYPE
from kbuildpy.loader.load_info import LoadInfo
from kbuildpy.loader.memory.data import ImportedAddress, Memory, SectionOffset
from kbuildpy.loader.parameters.arguments import Argument, arguments, as_bytes, as_text
from kbuildpy.loader.parameters.destroy_params import destroy_params
from kbuildpy.loader.parameters.dyndbg import exec_queries
from kbuildpy.loader.parameters.param_table import (
    HWPARAM,
    UNSAFE,
    Elsewhere,
    Parameter,
    array_at,
    find_parameter,
    ops_at,
)
from kbuildpy.loader.parameters.param_values import Fault, set_parameter, shortened
from kbuildpy.loader.verdict import Refusal, Undefined

_KMALLOC_MAX = 4 << 20
"""The most bytes that kmalloc() allocates with pages of 4 KiB."""

_HINTS = {
    "EINVAL": "modinfo -p shows the type of each parameter.",
    "ERANGE": "The value does not fit into the parameter's type, which modinfo -p shows.",
    "ENOSPC": "Give a shorter value.",
    "EPERM": "Load the module without this parameter, or boot without lockdown.",
    "EROFS": "Leave the parameter out: its variable is on from the beginning, and cannot be switched off.",
}


def copy_args(info: LoadInfo) -> None:
    """Copy the arguments into the kernel (mm/util.c: strndup_user), several stages before `parse_args`. Raises
    `Refusal` (ENOMEM) if they are too long."""
    size = len(as_bytes(info.args)) + 1
    if size > _KMALLOC_MAX:
        reason = f"the parameters take {size} bytes, and the kernel copies {_KMALLOC_MAX} at most"
        raise info.refuse("ENOMEM", None, reason, "give shorter parameters")


def parse_args(info: LoadInfo) -> None:
    """Set the module's parameters to the values in `info.args`. Raises `Refusal` with the last error, or
    `Undefined`."""
    memory = Memory(info)
    refusal = _parse(memory)
    if refusal is not None:
        destroy_params(memory)
        raise refusal


def _parse(memory: Memory) -> Refusal | None:
    """Set each parameter; the refusal of the last argument that failed, None if none did."""
    info = memory.info
    refusal = None
    for argument in arguments(as_bytes(info.args)):
        if argument.name == b"--" and argument.value is None:
            if refusal is None:
                info.log(f"{info.mod_name}: parameters '{as_text(argument.rest)}' after `--' ignored")
            break
        try:
            parameter = find_parameter(memory, argument.name)
            if parameter is None:
                _unknown(info, argument)
                continue
            fault = _parse_one(memory, argument, parameter)
        except Elsewhere as elsewhere:
            info.not_checked(f"argument {as_text(argument.name)}", reason=str(elsewhere))
            continue
        if fault is not None:
            refusal = _refused(memory, argument, parameter, fault)
    return refusal


def _parse_one(memory: Memory, argument: Argument, parameter: Parameter) -> Fault | None:
    if argument.value is None and not _takes_no_value(memory, parameter):
        return Fault("EINVAL", "")
    _lock(memory, parameter)
    if not _check_unsafe(memory.info, parameter):
        return Fault("EPERM", "the kernel is locked down, and the parameter sets hardware")
    return set_parameter(memory, argument.value, parameter)


def _takes_no_value(memory: Memory, parameter: Parameter) -> bool:
    ops = ops_at(memory, parameter.ops)
    if ops.noarg is None:
        raise Elsewhere(f"whether it needs a value is known to {ops.set} alone")
    return ops.noarg


def _lock(memory: Memory, parameter: Parameter) -> None:
    """Check the pointer to `struct module`, whose lock the kernel takes; for NULL it takes a lock of its own
    (kernel_param_lock)."""
    module = parameter.module
    if module == 0 or (isinstance(module, ImportedAddress) and not module.is_far):
        return
    if not (isinstance(module, SectionOffset) and module == (memory.info.index.mod, 0)):
        shown = (
            memory.shown(module)
            if isinstance(module, SectionOffset)
            else hex(module)
            if isinstance(module, int)
            else module
        )
        name = as_text(parameter.name)
        raise Undefined(
            memory.info.stage,
            f"parameter {name} is said to be of a module at {shown}, whose lock is taken",
            PARAMETER_TYPE,
        )


def _check_unsafe(info: LoadInfo, parameter: Parameter) -> bool:
    """Whether the parameter may be set; an unsafe one taints the kernel (param_check_unsafe)."""
    if parameter.flags & HWPARAM and info.kernel.lockdown:
        info.log("Lockdown: <comm>: unsafe module parameters is restricted; see man kernel_lockdown.7")
        return False
    if parameter.flags & UNSAFE:
        info.log(f"Setting dangerous option {as_text(parameter.name)} - tainting kernel")
        info.taints.kernel.add("U")
    return True


def _unknown(info: LoadInfo, argument: Argument) -> None:
    """Handle an argument that is not a parameter of the module (kernel/module/main.c: unknown_module_param_cb)."""
    if argument.name == b"async_probe":
        return
    name, module = argument.name, info.mod_name
    dynamic_debug = info.kernel.has("DYNAMIC_DEBUG_CORE")
    if dynamic_debug is None and (name == b"dyndbg" or b"." in name):
        info.not_checked(f"argument {as_text(name)}", Fact.CONFIG)
        return
    if not dynamic_debug and name == b"dyndbg":
        info.log("dyndbg param is supported only in CONFIG_DYNAMIC_DEBUG builds")
        return
    if dynamic_debug:
        # The kernel accepts "MODULE.dyndbg" as well. In the log, it cuts every name at its first dot.
        before, dot, after = name.partition(b".")
        if (after if dot else name) == b"dyndbg":
            exec_queries(info, b"+p" if argument.value is None else argument.value)
            return
        name = before
    info.log(f"{module}: unknown parameter '{as_text(name)}' ignored")


def _refused(memory: Memory, argument: Argument, parameter: Parameter, fault: Fault) -> Refusal:
    info, errno = memory.info, fault.errno
    value = b"" if argument.value is None else argument.value
    if argument.value is not None and errno != "EPERM" and _is_array(memory, parameter):
        # The kernel replaces the commas by NULs, so its message shows the first element.
        value = value.partition(b",")[0]
    name = as_text(argument.name)
    wrong = "too large" if errno == "ENOSPC" else "invalid"
    line = info.log(f"{info.mod_name}: `{as_text(value)}' {wrong} for parameter `{name}'")
    refused = f"parameter {name} does not take the value {shortened(argument.value or b'')}: {fault.takes}"
    reason = refused if fault.takes else f"parameter {name} needs a value"
    return Refusal(info.stage, errno, line, reason, _HINTS[errno])


def _is_array(memory: Memory, parameter: Parameter) -> bool:
    return ops_at(memory, parameter.ops).set == "param_array_set" and array_at(memory, parameter.arg).max > 0
