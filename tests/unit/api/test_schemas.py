"""The types that every schema is made of."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.schemas.base import DECIMAL_PLACES, LARGEST, Amount, ExecutedAt, Quantity, Ticker, plain
from api.schemas.portfolios import PortfolioChange
from api.schemas.trades import TradeChange

amounts = st.decimals(min_value=0, max_value=LARGEST, places=DECIMAL_PLACES)


@given(amounts)
def test_what_goes_out_comes_in_again_exactly(amount: Decimal) -> None:
    assert TypeAdapter(Amount).validate_python(plain(amount)) == amount
    assert TypeAdapter(Amount).validate_python(amount) == amount


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_plain_writes_no_exponent_and_no_idle_zeros(number: Decimal) -> None:
    text = plain(number)
    assert Decimal(text) == number
    assert "E" not in text
    assert not ("." in text and text.endswith(("0", ".")))
    assert text != "-0"


@given(st.decimals() | st.text() | st.floats() | st.none() | st.booleans())
def test_whatever_comes_in_is_a_storable_number_or_refused(value: object) -> None:
    try:
        number = TypeAdapter(Quantity).validate_python(value)
    except ValidationError:
        return
    assert number.is_finite()
    assert 0 < abs(number) <= LARGEST
    assert number == round(number, DECIMAL_PLACES)


@pytest.mark.parametrize(
    ("written", "number"),
    [("1", "1"), (" +1.50 ", "1.5"), (".5", "0.5"), ("5.", "5"), ("1e3", "1000"), ("-2E-3", "-0.002")],
)
def test_numbers_as_people_write_them(written: str, number: str) -> None:
    assert TypeAdapter(Quantity).validate_python(written) == Decimal(number)


@pytest.mark.parametrize(
    ("written", "ticker"),
    [("aapl", "AAPL"), (" brk-b ", "BRK-B"), ("^gspc", "^GSPC"), ("EURUSD=x", "EURUSD=X"), ("7203.T", "7203.T")],
)
def test_tickers_are_brought_to_capitals(written: str, ticker: str) -> None:
    assert TypeAdapter(Ticker).validate_python(written) == ticker


def test_moments_are_utc() -> None:
    moment = TypeAdapter(ExecutedAt).validate_python("2024-03-05T10:00:00+02:00")
    assert moment == datetime(2024, 3, 5, 8, tzinfo=UTC)
    assert moment.tzinfo is UTC


def test_a_change_knows_what_was_sent() -> None:
    assert TradeChange.model_validate({}).changes() == {}
    assert TradeChange.model_validate({"note": None, "fee": "1"}).changes() == {"note": None, "fee": Decimal(1)}
    with pytest.raises(ValidationError):
        PortfolioChange.model_validate({"name": None})
    with pytest.raises(ValidationError):
        PortfolioChange.model_validate({"is_default": False})
