"""Frames of Yahoo's stream: real protobufs, and everything that is none."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from yfinance.pricing_pb2 import PricingData

from tailwatch.errors import BadAnswerError
from tailwatch.market.ticks import Tick
from tailwatch.market.yahoo.stream import QuoteStream

AT = datetime(2026, 11, 23, 15, 0, 0, 250_000, tzinfo=UTC)


def frame(**fields: Any) -> str:
    said = {"id": "AAPL", "price": 129.93, "time": round(1000 * AT.timestamp()), "currency": "USD"} | fields
    return json.dumps({"message": base64.b64encode(PricingData(**said).SerializeToString()).decode()})


def test_a_price_is_read_with_its_time_and_the_digits_that_it_has() -> None:
    read = QuoteStream().read(frame(market_hours=1, quote_type=8))
    assert read == Tick("AAPL", Decimal("129.93"), "USD", AT, "regular")


@pytest.mark.parametrize(
    ("hours", "kind", "session"),
    [(0, 8, "pre"), (1, 8, "regular"), (2, 8, "post"), (3, 8, "extended"), (99, 8, "extended"), (0, 14, "regular"),
     (3, 41, "regular"), (2, 18, "regular")],
)  # fmt: skip
def test_the_flags_say_in_which_session_it_was(hours: int, kind: int, session: str) -> None:
    read = QuoteStream().read(frame(market_hours=hours, quote_type=kind))
    assert read is not None
    assert read.session == session


def test_a_sign_of_life_is_no_price() -> None:
    assert QuoteStream().read(frame(quote_type=7, price=0.0)) is None


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "no JSON",
        "[]",
        "3",
        "{}",
        '{"message": 5}',
        '{"message": "é"}',
        '{"message": "AAAA"}',
        b"\xff\xfe",
        frame(id=""),
        frame(price=0.0),
        frame(price=-1.0),
        frame(price=float("nan")),
        frame(price=float("inf")),
        frame(time=0),
        frame(time=2**62),
    ],
)
def test_what_is_no_price_is_refused_in_words(broken: str | bytes) -> None:
    with pytest.raises(BadAnswerError):
        QuoteStream().read(broken)
