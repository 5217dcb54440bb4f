"""The routes: one file a resource."""

from __future__ import annotations

from typing import Final

from apiflask import APIBlueprint

from api.routes import documentation, holdings, operations, portfolios, risk, session, short, tokens, trades

BLUEPRINTS: Final[tuple[APIBlueprint, ...]] = (
    session.routes,
    tokens.routes,
    portfolios.routes,
    trades.routes,
    holdings.routes,
    risk.routes,
    short.routes,
    operations.routes,
    documentation.routes,
)
