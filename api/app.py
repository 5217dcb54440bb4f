"""The Flask application: which parts there are, and in which order they see a request."""

from __future__ import annotations

from typing import Final

from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

import tailwatch
from api import database, limits, live, metrics, openapi, problems, spa, timing
from api.auth import SECURITY_SCHEMES
from api.json_exact import ExactJSON, StrictRequest
from api.routes import BLUEPRINTS
from tailwatch.db.migrate import MIGRATIONS
from tailwatch.db.models import Base
from tailwatch.settings import get_settings

LARGEST_BODY: Final = 1_000_000


class IdConverter(IntegerConverter):
    """Ids in paths: what does not fit a bigint is no id of ours."""

    def __init__(self, map) -> None:  # type: ignore[no-untyped-def]  # noqa: A002 - werkzeug's name
        super().__init__(map, max=2**63 - 1)


class Tailwatch(database.RetryOverNewConnection, APIFlask):
    """APIFlask with exact JSON and requests that survive a restarted database."""

    json_provider_class = ExactJSON
    request_class = StrictRequest


def create_app() -> APIFlask:
    """Return the application, wired by the process's settings."""
    app = Tailwatch(
        "api",
        title="Tailwatch",
        version=tailwatch.__version__,
        spec_path=None,
        docs_path=None,
        json_errors=False,
        static_folder=None,  # type: ignore[arg-type]
    )
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_BODY, SECURITY_SCHEMES=SECURITY_SCHEMES, **openapi.CONFIG)
    app.url_map.converters["int"] = IdConverter
    # A path with a slash too many is no path of ours; redirects would only hide the caller's mistake.
    app.url_map.strict_slashes = True

    timing.register(app)
    metrics.register(app)
    problems.register(app)
    app.register_error_handler(HTTPError, problems.handle)
    database.register(app)
    limits.register(app)
    spa.register(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint, url_prefix=blueprint.url_prefix)
    openapi.register(app)
    live.register(app)
    # `flask --app api.wsgi db …` for those who write migrations; nothing else needs Flask-SQLAlchemy.
    Migrate(app, Base, directory=str(MIGRATIONS))

    hops = get_settings().trust_proxy_hops
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app
