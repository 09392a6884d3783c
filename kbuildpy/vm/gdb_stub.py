# SPDX-License-Identifier: GPL-2.0-only
"""A client of the debugger's port of QEMU: breakpoints, registers and memory of a guest that is stopped.

The protocol is gdb's (its manual: Appendix E, Remote Protocol). QEMU stops the guest when a client connects, and
leaves it as it is when the connection ends without a `D`; the next client may then be gdb.
"""

from __future__ import annotations

import socket

from kbuildpy.errors import KbuildError

_INTERRUPT = b"\x03"
_LONGEST = 1 << 16
"""Bytes of the longest answer that is taken."""


class GdbStub:
    """A connection to 127.0.0.1:`port`. All methods raise `KbuildError` when QEMU does not answer as it should."""

    def __init__(self, port: int, *, timeout: float = 20) -> None:
        """Connect, which stops the guest; `timeout` is in seconds, for each answer but that of `wait()`."""
        self._port = port
        self._timeout = timeout
        self._unread = b""
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        except OSError as error:
            raise self._failure(str(error)) from error
        # (QEMU reports that it has stopped the guest, as `?` would: that is to be no answer to another command)
        self._send("qC")
        while not self._receive().startswith("QC"):
            pass
        # (only a client that has asked for the description of the registers may read a single one)
        self._ask("qXfer:features:read:target.xml:0,ffb")

    def close(self) -> None:
        """End the connection; a guest that is stopped stays so."""
        self._socket.close()

    def detach(self) -> None:
        """End the connection, and let the guest go on without breakpoints."""
        self._send("D")
        self.close()

    def insert_breakpoint(self, address: int) -> None:
        """Let the guest stop before it executes the instruction at `address`."""
        self._ask_ok(f"Z1,{address:x},1")

    def remove_breakpoint(self, address: int) -> None:
        """Remove what `insert_breakpoint()` did."""
        self._ask_ok(f"z1,{address:x},1")

    def resume(self) -> None:
        """Let the guest go on; `wait()` returns when it stops again."""
        self._send("c")

    def wait(self) -> bool:
        """Wait, without a limit, until the guest stops, and select the processor that stopped.

        False if it was stopped by `interrupt()`, not at a breakpoint.
        """
        self._socket.settimeout(None)
        try:
            answer = self._receive()
        finally:
            self._socket.settimeout(self._timeout)
        if answer[:1] != "T":
            raise self._failure(f"it reported {answer[:40]!r} for a stop")
        for pair in answer[3:].split(";"):
            name, _, value = pair.partition(":")
            if name == "thread":
                self.select_processor(value)
        # (SIGTRAP is gdb's name for a breakpoint, SIGINT for an interrupt)
        return answer[1:3] == "05"

    def select_processor(self, thread: str) -> None:
        """Read and write registers of another processor, named as gdb's protocol names threads: `1` is the first. A new
        connection is to the first one, whichever stopped."""
        self._ask_ok(f"Hg{thread}")

    def interrupt(self) -> None:
        """Stop a guest that runs; another thread's `wait()` returns."""
        self._write(_INTERRUPT)

    def read_register(self, number: int) -> int:
        """The value of a register of 64 bits, by gdb's number."""
        return int.from_bytes(self._hexadecimal(self._ask(f"p{number:x}"), 8), "little")

    def write_register(self, number: int, value: int) -> None:
        """Set a register of 64 bits, by gdb's number."""
        self._ask_ok(f"P{number:x}={value.to_bytes(8, 'little').hex()}")

    def read_memory(self, address: int, size: int) -> bytes:
        """Bytes of the guest's memory, by a virtual address of the selected processor."""
        return self._hexadecimal(self._ask(f"m{address:x},{size:x}"), size)

    def write_memory(self, address: int, contents: bytes) -> None:
        """Write bytes into the guest's memory."""
        self._ask_ok(f"M{address:x},{len(contents):x}:{contents.hex()}")

    def _hexadecimal(self, text: str, size: int) -> bytes:
        try:
            found = bytes.fromhex(text)
        except ValueError:
            found = b""
        if len(found) != size:
            raise self._failure(f"it reported {text[:40]!r} for {size} bytes")
        return found

    def _ask_ok(self, command: str) -> None:
        answer = self._ask(command)
        if answer != "OK":
            raise self._failure(f"it answered {answer[:40]!r} to {command.partition(':')[0]}")

    def _ask(self, command: str) -> str:
        self._send(command)
        return self._receive()

    def _send(self, command: str) -> None:
        body = command.encode("ascii")
        self._write(b"$%b#%02x" % (body, sum(body) & 0xFF))

    def _write(self, words: bytes) -> None:
        try:
            self._socket.sendall(words)
        except OSError as error:
            raise self._failure(str(error)) from error

    def _receive(self) -> str:
        """The next packet, without acknowledgements (`+`) before it."""
        while b"#" not in self._unread or len(self._unread) < self._unread.index(b"#") + 3:
            if len(self._unread) > _LONGEST:
                raise self._failure("its answer has no end")
            try:
                more = self._socket.recv(4096)
            except OSError as error:
                raise self._failure(str(error)) from error
            if not more:
                raise self._failure("it ended")
            self._unread += more
        packet, _, rest = self._unread.partition(b"#")
        self._unread = rest[2:]
        self._write(b"+")
        return packet.rpartition(b"$")[2].decode("ascii", errors="replace")

    def _failure(self, reason: str) -> KbuildError:
        return KbuildError(f"QEMU's port for debuggers, {self._port}, does not answer as it should: {reason}")
