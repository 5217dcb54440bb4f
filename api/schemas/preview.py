"""What if: trades that might be made, and what they would change."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.schemas.base import Amount, Exact, Input, Output, Quantity, Ticker
from api.schemas.risk import Headline, Method, PositionStatus
from api.schemas.risk import Warning as RiskWarning

Figure = Literal["annualized_volatility", "var_95_1d", "es_95_1d", "var_975_1d", "es_975_1d", "var_99_1d", "es_99_1d"]


class PreviewTrade(Input):
    """A trade that might be made. Positions are valued at the last stored price, whatever is paid."""

    ticker: Ticker
    quantity: Quantity
    price: Amount | None = Field(default=None, description="What would be paid; changes no figure of risk.")


class PreviewLimit(Input):
    """What a figure may come to."""

    figure: Figure
    value: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, description="As a fraction of net asset value.")]


class PreviewRequest(Input):
    """Trades to look at, and questions about them."""

    trades: list[PreviewTrade] = Field(max_length=50)
    limit: PreviewLimit | None = Field(default=None, description="Have a trade sized so that it is kept.")
    ticker: Ticker | None = Field(default=None, description="Which trade to size; left out: the first.")
    hedge: bool = Field(default=False, description="Look for the best single hedge, the trades being made.")

    @model_validator(mode="after")
    def _something_to_size(self) -> PreviewRequest:
        if self.limit is not None and self.ticker is None and not self.trades:
            raise ValueError("a limit needs a ticker, or a trade, to be sized")
        return self


class PreviewFigures(Headline):
    """The headline figures; fractions of net asset value."""

    nav: float | None
    gross: float | None
    amounts: Headline = Field(description="The same in the base currency.")


class PreviewedTrade(Output):
    """One of the trades."""

    ticker: str
    quantity: Exact
    price: Exact | None = Field(description="The last stored price.")
    market_value: Exact | None
    status: PositionStatus
    reason: str | None
    incremental_var_95_1d: float | None = Field(
        description="What this trade alone adds to the 95 % VaR, in the base currency."
    )


class PreviewedLimit(Output):
    """The size that keeps to the limit."""

    figure: Figure
    value: float
    ticker: str
    quantity: Exact | None = Field(description="Of the position with the trade; null where no size keeps to it.")
    trade_quantity: Exact | None
    reached: float | None = Field(description="What the figure comes to with it, or at its best.")
    message: str


class HedgedAmounts(Output):
    """The figure without and with the hedge, in the base currency."""

    before: float
    after: float


class PreviewedHedge(Output):
    """The trade that lowers the 97.5 % expected shortfall most."""

    ticker: str
    quantity: Exact
    market_value: Exact
    figure: Figure
    before: float | None = Field(description="Over the net asset value before the hedge; null where unusable.")
    after: float | None = Field(description="Over the same value: what a short sale brings in stays in the account.")
    amounts: HedgedAmounts


class Preview(Output):
    """The figures without the trades, with them, and the difference."""

    as_of: date
    base_currency: str
    method: Method
    before: PreviewFigures
    after: PreviewFigures
    incremental: PreviewFigures
    trades: list[PreviewedTrade]
    limit: PreviewedLimit | None
    hedge: PreviewedHedge | None = Field(description="Null where none was asked for, or none lowers it.")
    warnings: list[RiskWarning] = Field(description="Of the portfolio with the trades.")
