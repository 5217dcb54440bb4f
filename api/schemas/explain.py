"""Why the figures moved since the snapshot before."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import Moment, Output
from api.schemas.risk import Warning as RiskWarning

Cause = Literal["corrections", "trades", "prices", "volatility", "correlation"]


class Parts(Output):
    """What each cause added; together they are the change."""

    corrections: float = Field(description="Prices of the day before that are known otherwise today.")
    trades: float = Field(description="Other quantities, and other risk settings.")
    prices: float = Field(description="New prices.")
    volatility: float = Field(description="Each instrument's own volatility.")
    correlation: float = Field(description="How the instruments move together, and the shape of the tail.")


class ExplainedFigure(Output):
    """One figure, before and now."""

    unit: Literal["fraction", "currency"]
    previous: float | None
    current: float | None
    change: float | None
    parts: Parts | None = Field(description="Null where the figure is missing on some step of the way.")


class Explain(Output):
    """The change of the headline figures since the snapshot before, cause by cause."""

    snapshot_id: int | None
    previous_snapshot_id: int | None = Field(description="Null for the first snapshot.")
    from_: Moment | None = Field(alias="from", description="When the one before was computed.")
    to: Moment | None
    base_currency: str | None
    order: list[Cause] = Field(description="In which they are taken apart: each part is given those before it.")
    figures: dict[str, ExplainedFigure] = Field(description="Fractions of net asset value, and `nav` itself.")
    amounts: dict[str, ExplainedFigure] = Field(description="The same in the base currency.")
    sentence: str | None
    warnings: list[RiskWarning]
