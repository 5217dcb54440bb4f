"""Prices that stand still, and weeks without any."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest

from tailwatch.market import quality
from tailwatch.market.sources import Bar, PriceHistory
from tests.support.markets import walk, weekdays

DAYS = weekdays(300)
CLOSES = walk(3, len(DAYS), 50.0)


def bars(closes: Sequence[Decimal], days: Sequence[date] = DAYS) -> list[Bar]:
    return [Bar(day, close, close) for day, close in zip(days, closes, strict=True)]


@pytest.mark.parametrize("sessions", [1, 4, 5, 40, 300])
def test_five_sessions_of_one_price_are_remarked_on(sessions: int) -> None:
    still = [*CLOSES[: len(CLOSES) - sessions], *[Decimal("7.5")] * sessions]
    found = quality.stale_run(bars(still))
    if sessions < quality.STILL:
        assert found == []
        return
    # As far back as is looked.
    since = DAYS[-min(sessions, quality.LOOK_BACK)]
    assert [(one["day"], one["message"]) for one in found] == [
        (str(since), f"The price has been 7.5 in every session since {since}: is it still traded?")
    ]


def test_a_price_that_stood_still_once_is_nothing_to_remark_on() -> None:
    assert quality.stale_run(bars([*CLOSES[:100], *[CLOSES[99]] * 20, *CLOSES[120:]])) == []


@pytest.mark.parametrize("missing", [0, 7, 8, 25])
def test_more_weekdays_without_a_price_than_any_holidays_have_are_a_gap(missing: int) -> None:
    days = [*DAYS[: 200 - missing], *DAYS[200:]]
    found = quality.gaps(bars(CLOSES[missing:], days))
    assert len(found) == (missing > quality.LONGEST_HOLIDAYS)
    for one in found:
        assert one["message"].startswith(
            f"No price between {DAYS[199 - missing]} and {DAYS[200]}: {missing} weekdays."
        )


def test_gaps_that_risk_does_not_look_at_are_not_named() -> None:
    assert quality.gaps(bars(CLOSES[:30] + CLOSES[50:], DAYS[:30] + DAYS[50:])) == []


def test_newer_bars_without_anything_odd_are_plain() -> None:
    known = bars(CLOSES[-11:], DAYS[-11:])
    history = PriceHistory("KO", "yahoo", "USD", None, known[0].day, known, splits=(), partial=True)
    assert quality.is_plain(history)
    blank = PriceHistory("KO", "yahoo", "USD", None, known[0].day, known, blank=[DAYS[-1] + timedelta(days=1)])
    assert not quality.is_plain(blank)
    assert not quality.is_plain(
        PriceHistory("KO", "yahoo", "USD", None, known[0].day, bars([CLOSES[-1]] * 11, DAYS[-11:]))
    )
