"""A TCP proxy in front of a server, to cut connections and to hold them up, as networks do."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"


class Proxy:
    """Passes bytes on; tests say when no more."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.stalled = threading.Event()
        """While set, nothing passes, and connections stay open."""
        self.refusing = False
        self.lost_commits = 0
        """So many confirmations of a commit are lost from now, with their connections."""
        self._budget: int | None = None
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._ended = False
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection now, in both directions."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            self.cuts += 1
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def cut_after(self, number: int) -> None:
        """Break the connection that carries the byte of this number from now, before it passes."""
        self._budget = number

    def close(self) -> None:
        """End it."""
        self._ended = True
        self.stalled.clear()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever accepts
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.append((client, server))
            threading.Thread(target=self._pump, args=(client, server), daemon=True).start()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            try:
                while True:
                    for key, _ in selector.select():
                        source: Any = key.fileobj
                        data = source.recv(65536)
                        if not data:
                            return
                        while self.stalled.is_set():
                            threading.Event().wait(0.01)
                        if self.lost_commits and source is server and _COMMITTED in data:
                            self.lost_commits -= 1
                            return
                        if self._budget is not None:
                            self._budget -= len(data)
                            if self._budget <= 0:
                                self._budget = None
                                self.cuts += 1
                                return
                        other[source].sendall(data)
            except OSError:
                pass
            finally:
                client.close()
                server.close()


@contextmanager
def proxied(dsn: str) -> Iterator[tuple[Proxy, str]]:
    """Lend a proxy in front of a database, and the connection string that leads through it."""
    parts = conninfo_to_dict(dsn)
    proxy = Proxy(str(parts["host"]), int(str(parts["port"])))
    try:
        yield proxy, make_conninfo(dsn, host="127.0.0.1", port=proxy.port)
    finally:
        proxy.close()
