"""The Flask application: which parts there are, and in which order they see a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from apiflask import APIFlask
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import IntegerConverter

import tailwatch
from api import database, edge_cache, limits, live, metrics, problems, request_ids, spa, specification, timing
from api.auth import SECURITY_SCHEMES
from api.json_exact import ExactJSON, StrictRequest
from api.routes import BLUEPRINTS
from tailwatch.db.migrate import MIGRATIONS
from tailwatch.db.models import Base
from tailwatch.settings import get_settings

LARGEST_BODY: Final = 1_000_000


class IdConverter(IntegerConverter):
    """Ids in paths.

    A number too large for a bigint becomes 0, which no row has, so that it is answered as any unknown id. Refusing it
    here would make werkzeug answer 405 where other methods share the path.
    """

    regex = "[0-9]{1,40}"

    def to_python(self, value: str) -> int:
        """Return the id that `value` spells."""
        number = int(value)
        return number if number < 2**63 else 0


class Tailwatch(database.RetryOverNewConnection, APIFlask):
    """APIFlask with exact JSON and requests that survive a restarted database."""

    json_provider_class = ExactJSON
    request_class = StrictRequest

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func`: nothing here is a coroutine, and finding that out takes a tenth of a small answer's time."""
        return func


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
    app.config.update(MAX_CONTENT_LENGTH=LARGEST_BODY, SECURITY_SCHEMES=SECURITY_SCHEMES, **specification.CONFIG)
    app.url_map.converters["int"] = IdConverter
    # A path with a slash too many is no path of ours; redirects would only hide the caller's mistake.
    app.url_map.strict_slashes = True

    edge_cache.prepare()
    request_ids.register(app)
    timing.register(app)
    metrics.register(app)
    problems.register(app)
    database.register(app)
    limits.register(app)
    spa.register(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint, url_prefix=blueprint.url_prefix)
    specification.register(app)
    live.register(app)
    # `flask --app api.wsgi db …` for those who write migrations; nothing else needs Flask-SQLAlchemy.
    Migrate(app, Base, directory=str(MIGRATIONS))

    hops = get_settings().trust_proxy_hops
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app
