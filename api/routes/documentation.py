"""The API's own documentation, and a page to try it: Swagger UI, served from here because there may be no network."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from flask import Response, g, request, send_from_directory

from api import spa, specification
from api.auth import CSRF_HEADER
from api.routing import Routes

routes = Routes("documentation", "Documentation")

#: The built Swagger UI that the package flask-swagger-ui brings along.
_SWAGGER_UI: Final = str(files("flask_swagger_ui") / "dist")

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Tailwatch API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script nonce="{nonce}">
// Whoever is signed in can try writes too: they carry the session's CSRF token, as the page's do.
const me = fetch('/api/me').then((answer) => (answer.ok ? answer.json() : null));
SwaggerUIBundle({{
  url: '/api/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  persistAuthorization: false,
  requestInterceptor: async (sent) => {{
    const token = (await me)?.csrf_token;
    if (token && sent.url.startsWith(location.origin)) sent.headers['{csrf_header}'] = token;
    return sent;
  }},
}});
</script>
</body>
</html>
"""


@routes.get("/openapi.json")
@routes.doc(hide=True)
def get_document() -> Response:
    """Send the document that the page's types and other clients are generated from."""
    response = Response(specification.committed(), content_type="application/json")
    response.set_etag(specification.etag())
    response.cache_control.no_cache = True
    response.make_conditional(request)
    return response


@routes.get("/docs")
@routes.doc(hide=True)
def get_documentation() -> Response:
    """Send the page to try the API."""
    g.csp_nonce = spa.new_nonce()
    return Response(_PAGE.format(nonce=g.csp_nonce, csrf_header=CSRF_HEADER), content_type="text/html; charset=utf-8")


@routes.get("/docs/<path:file>")
@routes.doc(hide=True)
def get_documentation_file(file: str) -> Response:
    """Send a part of Swagger UI."""
    response = send_from_directory(_SWAGGER_UI, file, conditional=True)
    response.cache_control.no_cache = True
    return response
