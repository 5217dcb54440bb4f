"""What the route files share: blueprints whose views document themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from apiflask import APIBlueprint

V = TypeVar("V", bound=Callable[..., Any])


class Routes(APIBlueprint):
    """A blueprint whose operationIds are the views' names: `create_trade` is `createTrade`."""

    def __init__(self, name: str, tag: str, url_prefix: str = "/api") -> None:
        super().__init__(name, "api", tag=tag, url_prefix=url_prefix)

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: Any = None, *args: Any, **options: Any
    ) -> None:
        """Register a view; see `flask.Blueprint.add_url_rule`."""
        if view_func is not None:
            first, *rest = view_func.__name__.split("_")
            view_func.__dict__.setdefault("_spec", {})["operation_id"] = first + "".join(map(str.capitalize, rest))
        super().add_url_rule(rule, endpoint, view_func, *args, **options)


def documented(
    *problems: int, idempotent: bool = False, conditional: bool = False, upload: bool = False
) -> Callable[[V], V]:
    """Note for the OpenAPI document what a view answers beyond what follows from its parameters.

    Args:
        problems: status codes of problems of its own.
        idempotent: it honours `Idempotency-Key`.
        conditional: it answers with an ETag and honours `If-None-Match`.
        upload: it takes a file, as multipart/form-data (`api.uploads`).
    """

    def decorate(view: V) -> V:
        specification = view.__dict__.setdefault("_spec", {})
        specification["extensions"] = {
            "x-problems": [str(code) for code in problems],
            "x-idempotent": idempotent,
            "x-conditional": conditional,
            "x-upload": upload,
        }
        return view

    return decorate
