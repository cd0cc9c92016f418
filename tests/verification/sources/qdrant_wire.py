"""A server that speaks the part of Qdrant's protocol that the reader uses, for connections that drop.

It stands in for the network alone: the points, their order and their vectors come from the client's local mode or from
Qdrant's storage engine (:mod:`tests.verification.sources.qdrant_engine`), and the client under test sends and parses
real requests. It is no Qdrant server; one is tested where QDRANT_URL names it.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from qdrant_client import QdrantClient, models

if TYPE_CHECKING:
    from tests.verification.sources.qdrant_engine import Engine


class Wire:
    """Serves the collections of ``local`` on the loopback address; port 0 is any that is free."""

    def __init__(self, local: QdrantClient | Engine, port: int = 0) -> None:
        self.local = local
        self.keys: set[str | None] = set()
        self.failing: list[int | None] = []  # for the next scrolls: a status, or None for a connection cut short
        self.port = port
        self.lock = threading.Lock()
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        wire = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wire.answer(self, {})

            def do_POST(self) -> None:
                wire.answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        parts = handler.path.partition("?")[0].strip("/").split("/")
        with self.lock:
            self.keys.add(handler.headers.get("api-key"))
            if parts[-1] == "scroll" and self.failing:
                status = self.failing.pop(0)
                if status is not None:
                    self._send(handler, status, {"status": {"error": "failing"}})
                return  # without a word: the connection is closed
            try:
                result = self._result(parts, body)
            except ValueError as error:
                self._send(handler, 404, {"status": {"error": str(error)}})
                return
        self._send(handler, 200, {"result": result, "status": "ok", "time": 0.0})

    def _result(self, parts: list[str], body: dict[str, Any]) -> Any:
        if parts == ["collections"]:
            return self.local.get_collections().model_dump(mode="json")
        if parts == ["aliases"]:
            return self.local.get_aliases().model_dump(mode="json")
        if len(parts) == 2:
            return self.local.get_collection(parts[1]).model_dump(mode="json")
        points, beyond = self.local.scroll(
            parts[1],
            limit=body["limit"],
            offset=body.get("offset"),
            scroll_filter=models.Filter(**body["filter"]) if body.get("filter") else None,
            with_payload=body.get("with_payload", True),
            with_vectors=body.get("with_vector", False),
        )
        return {"points": [point.model_dump(mode="json") for point in points], "next_page_offset": beyond}

    def _send(self, handler: BaseHTTPRequestHandler, status: int, content: dict[str, Any]) -> None:
        payload = json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(payload)))
        handler.end_headers()
        handler.wfile.write(payload)
