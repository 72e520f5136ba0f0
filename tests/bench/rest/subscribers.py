"""How long a change takes to reach clients that listen over HTTP (protocol 2026-07-28)."""

import http.client
import json
import selectors
import socket
import time
from urllib.parse import urlsplit

ACKNOWLEDGED = b"notifications/subscriptions/acknowledged"
UPDATED = b"notifications/resources/updated"
PATIENCE = 10


class Listener:
    """One open `subscriptions/listen` request."""

    def __init__(self, host, port, token, uri, number):
        body = json.dumps({
            "jsonrpc": "2.0", "id": number, "method": "subscriptions/listen",
            "params": {"notifications": {"resourceSubscriptions": [uri]}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"}}},
        })
        head = [
            "POST /mcp HTTP/1.1", f"Host: {host}:{port}", f"Authorization: Bearer {token}",
            "Content-Type: application/json", "Accept: application/json, text/event-stream",
            "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: subscriptions/listen", f"Content-Length: {len(body)}",
        ]
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(("\r\n".join(head) + "\r\n\r\n" + body).encode())
        self.kept = b""
        self.heard = 0

    def receive(self, marker):
        """Takes in what has come; true when it has `marker` for the first time since `heard` was 0."""
        data = self.socket.recv(65536)
        assert data, f"the server ended a stream: {self.kept[-300:]!r}"
        self.kept = (self.kept + data)[-4000:]
        if self.heard or marker not in self.kept:
            return False
        self.heard += 1
        self.kept = b""
        return True


def everyone(listeners, selector, marker, began):
    """Seconds from `began` until each listener has heard `marker`."""
    taken = []
    for listener in listeners:
        listener.heard = 0
    while len(taken) < len(listeners):
        ready = selector.select(timeout=PATIENCE)
        now = time.perf_counter()
        silent = [one.kept[-300:] for one in listeners if not one.heard][:1]
        assert ready, f"{len(listeners) - len(taken)} of {len(listeners)} heard nothing for {PATIENCE} s: {silent}"
        taken.extend(now - began for key, _ in ready if key.data.receive(marker))
    return taken


def measure(url, token, path, field, uri, count, rounds):
    """Seconds from sending each of `rounds` writes to `path` until each of `count` listeners has heard."""
    place = urlsplit(url)
    listeners = [Listener(place.hostname, place.port, token, uri, n + 1) for n in range(count)]
    selector = selectors.DefaultSelector()
    for listener in listeners:
        selector.register(listener.socket, selectors.EVENT_READ, listener)
    everyone(listeners, selector, ACKNOWLEDGED, time.perf_counter())
    writer = http.client.HTTPConnection(place.hostname, place.port)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    taken = []
    for n in range(rounds):
        body = json.dumps({"fields": {field: 1_000_000 + n}})
        began = time.perf_counter()
        writer.request("PATCH", path, body, headers)
        taken += everyone(listeners, selector, UPDATED, began)
        answer = writer.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
    for listener in listeners:
        listener.socket.close()
    return taken
