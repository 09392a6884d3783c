# SPDX-License-Identifier: GPL-2.0-only
"""Stops a guest where the kernel is about to call the init function of a module (`--gdb-at init`).

A breakpoint at do_one_initcall() (init/main.c) finds the moment. The addresses of the module's sections are then in
sysfs, but no program of a stopped guest can read them. So the call of do_one_initcall() is first replaced by calls of
msleep() until the guest has reported the addresses; then the registers are put back, and the guest stays stopped.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread

from kbuildpy.errors import KbuildError
from kbuildpy.vm.gdb_stub import GdbStub
from kbuildpy.vm.machine import CallRegisters

_NAP = 500
"""Milliseconds of one msleep()."""


@dataclass(frozen=True)
class KernelFunctions:
    """Addresses in the guest's kernel."""

    do_one_initcall: int
    msleep: int


@dataclass(frozen=True)
class _Call:
    """A call of a function with one argument, at the function's first instruction."""

    argument: int
    stack: int
    returns_to: int


class StopAtInit:
    """Watches one guest through QEMU's port for debuggers, in a thread of its own."""

    def __init__(self, port: int, functions: KernelFunctions, registers: CallRegisters) -> None:
        """Set the breakpoint, and let the guest go on. Raises `KbuildError` when QEMU does not do it."""
        self._functions = functions
        self._registers = registers
        self._reported = Event()
        self._error: KbuildError | None = None
        self.init_function = 0
        """The address of the function that the kernel is about to call; 0 until then."""
        self._stub = GdbStub(port)
        self._stub.insert_breakpoint(functions.do_one_initcall)
        self._stub.resume()
        self._thread = Thread(target=self._follow, daemon=True)
        self._thread.start()

    def sections_are_reported(self) -> None:
        """Return when the guest is stopped at the init function: it has reported what is only known before."""
        self._reported.set()
        self._end()

    def give_up(self) -> None:
        """Remove the breakpoint and stop the guest where it is: no init function was called."""
        if not self._error:
            self._stub.interrupt()
        self._end()

    def _end(self) -> None:
        self._thread.join()
        self._stub.close()
        if self._error:
            raise self._error

    def _follow(self) -> None:
        try:
            called = self._stub.wait()
            self._stub.remove_breakpoint(self._functions.do_one_initcall)
            if called:
                self._delay()
        except KbuildError as error:
            # (the guest goes on, and when its modules are loaded the error is raised)
            self._error = error
            with suppress(KbuildError):
                self._stub.detach()

    def _delay(self) -> None:
        call = self._current_call()
        self._stub.insert_breakpoint(call.returns_to)
        while not self._reported.is_set():
            self._enter(self._functions.msleep, call, _NAP)
            self._stub.resume()
            if not self._stub.wait():
                break
        self._stub.remove_breakpoint(call.returns_to)
        self._enter(self._functions.do_one_initcall, call, call.argument)
        self.init_function = call.argument

    def _current_call(self) -> _Call:
        registers, stub = self._registers, self._stub
        stack = stub.read_register(registers.stack)
        if registers.link is not None:
            returns_to = stub.read_register(registers.link)
        else:
            returns_to = int.from_bytes(stub.read_memory(stack, 8), "little")
        return _Call(stub.read_register(registers.argument), stack, returns_to)

    def _enter(self, function: int, call: _Call, argument: int) -> None:
        """Put the processor at the first instruction of `function`, as if it was called where `call` was made."""
        registers, stub = self._registers, self._stub
        stub.write_register(registers.argument, argument)
        stub.write_register(registers.stack, call.stack)
        if registers.link is not None:
            stub.write_register(registers.link, call.returns_to)
        else:
            # (interrupts may have used the stack below the return address in the meantime)
            stub.write_memory(call.stack, call.returns_to.to_bytes(8, "little"))
        stub.write_register(registers.counter, function)
