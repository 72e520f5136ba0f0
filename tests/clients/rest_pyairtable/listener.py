"""A small HTTP server of our own: files to be fetched, and a place that takes notifications."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener:
    """`files` by path as (type, bytes); `taken` holds (path, headers, body) of what was posted."""

    def __init__(self):
        self.files = {}
        self.taken = []
        self.statuses = []

    def address(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        found = self.server.listener.files.get(self.path.partition("?")[0])
        self.answer(*((200, *found) if found else (404, "text/plain", b"no such file")))

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        listener = self.server.listener
        listener.taken.append((self.path, self.headers, body))
        self.answer(listener.statuses.pop(0) if listener.statuses else 200, "text/plain", b"")

    def log_message(self, *_):
        pass


@contextmanager
def listening():
    listener = Listener()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.listener, listener.server = listener, server
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
