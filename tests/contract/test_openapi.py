"""The committed OpenAPI document: valid, complete, and what the routes say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask

from api import openapi
from tests.integration.api.support import application, forget_settings


@pytest.fixture(scope="module")
def app(redis_url: str) -> Iterator[Flask]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", redis_url)
        forget_settings()
        yield application()
    forget_settings()


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    return dict(json.loads(openapi.COMMITTED.read_text(encoding="utf-8")))


def test_the_committed_document_is_what_the_routes_say() -> None:
    check = subprocess.run(
        [sys.executable, "-m", "api.openapi", "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()


def test_every_route_of_the_api_is_in_the_document(app: Flask, document: dict[str, Any]) -> None:
    hidden = {"/api/openapi.json", "/api/docs", "/api/docs/{file}"}
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    served = set()
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<int:", "{").replace("<path:", "{").replace("<string:", "{").replace(">", "}")
        served |= {(method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"} if path not in hidden}
    assert {route for route in served if not route[1].startswith("/socket.io")} == described


def test_operation_ids_are_the_names_that_clients_call(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert {"listPortfolios", "createTrade", "getRisk", "getMe", "listHoldings", "recomputeRisk"} <= set(names)


def test_every_figure_of_the_risk_snapshot_may_be_missing(document: dict[str, Any]) -> None:
    risk = document["components"]["schemas"]["Risk"]["properties"]
    for name in ("annualized_volatility", "var_95_1d", "es_95_1d", "nav", "as_of", "correlation", "beta", "coverage"):
        kinds = {kind.get("type") for kind in risk[name]["anyOf"]}
        assert "null" in kinds, name


def test_every_problem_is_documented_as_problem_json(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert {"500", "503"} <= operation["responses"].keys(), (method, path)
            if method in {"post", "patch", "delete"} and path != "/api/session" and not path.endswith("/link"):
                assert {"401", "403", "429"} <= operation["responses"].keys(), (method, path)
    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]


def test_the_document_and_its_page_are_served_without_the_network(app: Flask, document: dict[str, Any]) -> None:
    client = app.test_client()
    served = client.get("/api/openapi.json")
    assert json.loads(served.data) == document
    assert client.get("/api/openapi.json", headers={"If-None-Match": served.headers["ETag"]}).status_code == 304
    page = client.get("/api/docs")
    nonce = page.headers["Content-Security-Policy"].partition("'nonce-")[2].partition("'")[0]
    assert f'nonce="{nonce}"'.encode() in page.data
    assert b"//" not in page.data.replace(b"// Whoever", b"")
    for file in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert client.get(f"/api/docs/{file}").status_code == 200
    assert client.get("/api/docs/../app.py").status_code == 404
