# SPDX-License-Identifier: GPL-2.0-only
"""The client of QEMU's port for debuggers, against a server that answers as it should, or does not."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from kbuildpy.errors import KbuildError
from kbuildpy.vm.gdb_stub import GdbStub
from tests.support.free_port import free_port

GREETING = [b"+$T02thread:01;#04+$QC01#f5", b"+$l<target/>#00"]
"""What QEMU 7.2 answers to a new client: a stop, the current thread, and the description of the registers."""


@contextmanager
def stub(*answers: bytes) -> Iterator[GdbStub]:
    """A client of a server that gives `answers`, one to each packet, and then ends the connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for answer in [*GREETING, *answers]:
                    while b"#" not in connection.recv(4096):
                        pass
                    connection.sendall(answer)

        server = Thread(target=serve)
        server.start()
        found = GdbStub(listener.getsockname()[1], timeout=5)
        try:
            yield found
        finally:
            found.close()
            server.join()


def test_reads_registers_and_memory_and_waits_for_stops() -> None:
    with stub(b"+$4030201080ffffff#00", b"+$dead#00", b"+$T05thread:02;#00", b"+$OK#9a") as found:
        assert found.read_register(5) == 0xFFFFFF8010203040
        assert found.read_memory(0x1000, 2) == b"\xde\xad"
        found.resume()
        assert found.wait()


@pytest.mark.parametrize(
    ("answer", "ask", "said"),
    [
        (b"+$E01#a6", lambda found: found.insert_breakpoint(16), "it answered 'E01' to Z1,10,1"),
        (b"+$#00", lambda found: found.read_register(7), "it reported '' for 8 bytes"),
        (b"+$E14#aa", lambda found: found.read_memory(0, 8), "it reported 'E14' for 8 bytes"),
        (b"+$zz#00", lambda found: found.read_memory(0, 1), "it reported 'zz' for 1 bytes"),
        (b"+$\xff\x1b[2J#00", lambda found: found.remove_breakpoint(0), r"\\x1b"),
        (b"x" * 70000, lambda found: found.read_memory(0, 1), "its answer has no end"),
        (b"", lambda found: found.wait(), "it ended"),
    ],
)
def test_answers_that_are_none_are_an_error(answer: bytes, ask: Callable[[GdbStub], object], said: str) -> None:
    with stub(answer) as found, pytest.raises(KbuildError, match=said) as error:
        if not answer:
            found.resume()
        ask(found)
    assert "QEMU's port for debuggers" in error.value.message


def test_a_port_without_qemu_is_an_error() -> None:
    with pytest.raises(KbuildError, match="does not answer as it should"):
        GdbStub(free_port())
