"""A TCP proxy in front of a server that sleeps: it cuts who is connected, and the first connects after that fail.

They fail as those of Neon's do: without a word, or by its proxy's error, which has the SQLSTATE of internal errors.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

WORDS = "Couldn't connect to compute node"
FAILURES = 3  # connects after a suspension that fail
_NO_LINGER = struct.pack("ii", 1, 0)  # close() sends RST
_REQUESTS = (80877103, 80877104)  # SSLRequest and GSSENCRequest; both are answered with "N", go on in clear


class SleepingProxy:
    """Relays to `target` once it is awake. `refused` counts the connects that it let fail."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._failing = 0
        self.refused = 0
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def suspend(self) -> None:
        """Fall asleep: cut all connections, let the next ones fail."""
        with self._lock:
            self._failing = FAILURES
            cut, self._open = self._open, set()
        for one in cut:
            _reset(one)

    def close(self) -> None:
        """Stop listening, cut all connections."""
        self._listener.close()
        self.suspend()

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client, number), daemon=True).start()

    def _serve(self, client: socket.socket, number: int) -> None:
        with self._lock:
            asleep = self._failing > 0
            self._failing -= asleep
            self.refused += asleep
        if asleep:
            if number % 2:
                _say(client, WORDS)
            _reset(client)
            return
        server = socket.create_connection(self._target)
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
        self._copy(client, server)

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, sink}


def _say(client: socket.socket, words: str) -> None:
    """Answer the startup message with an error, as the protocol has it."""
    with suppress(OSError):
        while True:
            length, code = struct.unpack("!ii", client.recv(8, socket.MSG_WAITALL))
            if code not in _REQUESTS:
                client.recv(length - 8, socket.MSG_WAITALL)
                break
            client.sendall(b"N")
        fields = b"SERROR\0VERROR\0CXX000\0M" + words.encode() + b"\0\0"
        client.sendall(b"E" + struct.pack("!i", len(fields) + 4) + fields)
        client.shutdown(socket.SHUT_WR)
        client.recv(1)  # the client hangs up, so that no RST overtakes the words


def _reset(one: socket.socket) -> None:
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        one.close()


@contextmanager
def sleeping(target: tuple[str, int]) -> Iterator[SleepingProxy]:
    """A proxy that is asleep at first."""
    proxy = SleepingProxy(target)
    proxy.suspend()
    try:
        yield proxy
    finally:
        proxy.close()
