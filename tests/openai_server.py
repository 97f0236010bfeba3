"""A small OpenAI-compatible server on a loopback port: asks for one run of code, then answers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RESULT = "1267650600228229401496703205376"
CODE = "I compute it.\n\n```python\nprint(2**100)\n```\n"
ANSWER = "That is 1267650600228229401496703205376."


class Server(ThreadingHTTPServer):
    code: str
    first: str
    failure: str
    pause: float


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._send("application/json", json.dumps({"object": "list", "data": [{"id": "small", "object": "model"}]}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = body["messages"][-1]["content"]
        text = ANSWER if RESULT in last else self.server.code if self.server.failure in last else self.server.first
        pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
        chunks = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
        common = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "small"}
        lines = [f"data: {json.dumps({**common, **chunk})}\n\n" for chunk in chunks]
        self._send("text/event-stream", *lines, "data: [DONE]\n\n")

    def _send(self, kind: str, *pieces: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(sum(len(piece.encode()) for piece in pieces)))
        self.end_headers()
        try:
            for piece in pieces:
                self.wfile.write(piece.encode())
                threading.Event().wait(self.server.pause)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running(*, code: str = CODE, first: str = "", failure: str = "NameError", pause: float = 0.0) -> Iterator[str]:
    """Yield the base URL of a server that asks for `first`, after its failure for `code` (always, where there is no `first`), with so many seconds between the pieces of a reply."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.code, server.first, server.failure, server.pause = code, first or code, failure, pause
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
        thread.join()
