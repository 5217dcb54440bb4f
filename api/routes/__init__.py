"""The routes: one file a resource."""

from __future__ import annotations

from typing import Final

from apiflask import APIBlueprint

from api.routes import (
    backtest,
    documentation,
    explain,
    holdings,
    imports,
    operations,
    performance,
    portfolios,
    preview,
    prices,
    risk,
    session,
    short,
    stress,
    tokens,
    trades,
)

BLUEPRINTS: Final[tuple[APIBlueprint, ...]] = (
    session.routes,
    tokens.routes,
    portfolios.routes,
    imports.routes,
    trades.routes,
    holdings.routes,
    performance.routes,
    risk.routes,
    explain.routes,
    backtest.routes,
    stress.routes,
    preview.routes,
    prices.routes,
    short.routes,
    operations.routes,
    documentation.routes,
)
