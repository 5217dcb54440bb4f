"""Stress: stored with the snapshot, sent as stored."""

from __future__ import annotations

from typing import Final

import orjson
from flask import Response

from api.auth import requires
from api.routes.explain import stored_beside
from api.routing import Routes, documented
from api.schemas import stress as schemas

routes = Routes("stress", "Risk")

#: Of a portfolio without a snapshot, or with one of a version that had no stress.
_NOTHING: Final = orjson.dumps(
    {
        "as_of": None,
        "base_currency": None,
        "nav": None,
        "episodes": [],
        "factors": [],
        "volatility": [],
        "correlation": [],
        "warnings": [],
    }
).decode()


@routes.get("/portfolios/<int:portfolio_id>/risk/stress")
@requires("read")
@routes.output(schemas.Stress)
@documented(conditional=True)
def get_risk_stress(portfolio_id: int) -> Response:
    """Show what the newest snapshot's positions would lose in past episodes and under shocks."""
    return stored_beside(portfolio_id, "stress", _NOTHING)
