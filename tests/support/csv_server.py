"""A local server that answers with CSV as stooq does, with failures to be switched on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Answer:
    """What is said about a ticker.

    Attributes:
        length: Told of in the header, if it is another than the body's.
        hangs: No answer until the server stops. drips: its last byte does not come until then.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    hangs: bool = False
    drips: bool = False


class CsvServer:
    """What the handler answers from; tests change it while it runs.

    Attributes:
        answers: By ticker; other tickers are 404.
        everything: For every ticker.
        requests: The query of each request that came, in order.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.everything: Answer | None = None
        self.requests: list[dict[str, str]] = []
        self.stopping = threading.Event()
        self.url = ""

    @property
    def template(self) -> str:
        return f"{self.url}/daily?s={{ticker}}&d1={{start:%Y%m%d}}&d2={{end}}&apikey={{key}}"

    def says(self, ticker: str, text: str, **members: Any) -> None:
        self.answers[ticker] = Answer(text.encode(), **members)

    def tickers_asked(self) -> list[str]:
        return [query["s"] for query in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    csv: CsvServer

    def do_GET(self) -> None:
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        self.csv.requests.append(query)
        answer = self.csv.everything or self.csv.answers.get(query.get("s", ""), Answer(status=404))
        if answer.hangs:
            self.csv.stopping.wait()
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        self.end_headers()
        self.wfile.write(answer.body[:-1] if answer.drips else answer.body)
        if answer.drips:
            self.csv.stopping.wait()
        self.close_connection = answer.drips or answer.length is not None

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output to what tests say."""


@contextmanager
def serve_csv() -> Iterator[CsvServer]:
    """Yield a running server that knows nothing yet."""
    csv = CsvServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"csv": csv}))
    csv.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield csv
    finally:
        csv.stopping.set()
        http.shutdown()
        http.server_close()
        thread.join()
