"""Computing a stored snapshot again from the inputs that were kept beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy import Connection, RowMapping, text

from tailwatch.errors import NotReplayableError
from tailwatch.market.history import load_series, load_series_as_known
from tailwatch.measurement import inputs, model, snapshot
from tailwatch.measurement.loading import Loaded
from tailwatch.measurement.series import History, converted, cut, digest_of
from tailwatch.risk import PriceSeries
from tailwatch.risk.explain import FIGURES
from tailwatch.risk.volatility import VolatilityModel

#: More bars than any source gives of one instrument.
_ALL: Final = 100_000

_READ: Final = text(
    """
    SELECT portfolio_id, revision, market_revision, trigger, computed_at, convert_from(inputs, 'UTF8') AS inputs,
           convert_from(body, 'UTF8') AS body
    FROM risk_snapshots WHERE id = :id
    """
)


@dataclass(frozen=True)
class Cause:
    """Something that is not what it was: a code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class Replay:
    """What came of computing a snapshot again.

    Attributes:
        snapshot_id: Which.
        same: Whether every figure is the same to the last bit.
        causes: What is not what it was. There may be some although the figures are the same.
        figures: Headline figures that differ: stored, and computed now.
        differing: Where in the snapshot's JSON something differs, such as `positions.0.weight`.
    """

    snapshot_id: int
    same: bool
    causes: tuple[Cause, ...]
    figures: dict[str, tuple[float | None, float | None]]
    differing: tuple[str, ...]


def replay(connection: Connection, snapshot_id: int) -> Replay:
    """Compute a stored snapshot again from its positions and the prices that were known then, and compare.

    Where what was known then is lost, today's prices up to its day are taken, and a cause says so.

    Raises:
        NotReplayableError: there is no such snapshot, or it was made before inputs were kept.
    """
    row = connection.execute(_READ, {"id": snapshot_id}).mappings().one_or_none()
    if row is None:
        raise NotReplayableError(f"There is no snapshot {snapshot_id}.")
    if row["inputs"] is None:
        raise NotReplayableError(
            f"Snapshot {snapshot_id} was made by a version before 0.3, which did not keep what it was computed from."
        )
    document = orjson.loads(row["inputs"])
    histories, causes = _histories(connection, document, row["computed_at"])
    again = snapshot.make(_loaded(row, document, histories), row["computed_at"].astimezone(UTC))
    stored, computed = orjson.loads(row["body"]), orjson.loads(again["body"])
    # It names the code as well, which may be another and give the same.
    stored.pop("inputs_hash"), computed.pop("inputs_hash")
    differing = tuple(_differences(stored, computed))
    return Replay(
        snapshot_id=snapshot_id,
        same=not differing,
        causes=(*_versions(document, model.current(connection).model), *causes),
        figures={
            name: (stored.get(name), computed.get(name)) for name in FIGURES if stored.get(name) != computed.get(name)
        },
        differing=differing,
    )


def _histories(
    connection: Connection, document: Mapping[str, Any], computed_at: datetime
) -> tuple[dict[int, History], list[Cause]]:
    """Return the histories cut to what they were, as known then, and what is to be said of those that changed."""
    wanted = {int(each): kept for each, kept in document["histories"].items()}
    stored = _stored(wanted)
    ranges = inputs.model_of(document).measure == "range"
    found = load_series(connection, list(stored), _ALL, with_ranges=ranges)
    holdings, benchmark = inputs.holdings_of(document)
    held = {one.instrument_id: one for one in (*holdings, *filter(None, [benchmark]))}
    tickers = _tickers(connection, stored) | {each: one.ticker for each, one in held.items()}
    raw = {each: _as_it_was(each, found[each], kept) for each, kept in stored.items() if each in found}
    changed = [each for each, kept in stored.items() if each not in raw or raw[each].digest != kept["digest"]]
    # Of replaced bars the ranges are not kept.
    known = {} if ranges or not changed else load_series_as_known(connection, changed, computed_at)
    causes = []
    for each in changed:
        kept = stored[each]
        then = _as_it_was(each, known[each], kept) if each in known else None
        if then is not None and then.digest == kept["digest"]:
            raw[each] = then
            said = (
                f"The prices of {tickers[each]} up to {kept['last']} are others today; those known then were taken."
            )
        elif each in raw:
            said = f"The prices of {tickers[each]} up to {kept['last']} are not what they were."
        else:
            said = f"There are no prices of {tickers[each]} any more."
        causes.append(Cause("prices", said))
    histories = {}
    for each, kept in wanted.items():
        rate = raw.get(kept["rate"]["instrument_id"]) if "rate" in kept else None
        history = raw.get(each) if "rate" not in kept else None
        if rate is not None:
            history = converted(held[each], raw.get(each), rate)
        if history is not None:
            histories[each] = history
    return histories, causes


def _stored(wanted: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Return what the document says of each stored history: of what was converted, of prices and of rates."""
    stored: dict[int, Mapping[str, Any]] = {}
    for each, kept in wanted.items():
        if "rate" not in kept:
            stored[each] = kept
            continue
        stored[kept["rate"]["instrument_id"]] = kept["rate"]
        if kept["local"] is not None:
            stored[each] = kept["local"]
    return stored


def _tickers(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    rows = connection.execute(text("SELECT id, ticker FROM instruments WHERE id = ANY(:ids)"), {"ids": list(ids)})
    return {row.id: row.ticker for row in rows}


def _as_it_was(instrument_id: int, series: PriceSeries, kept: Mapping[str, Any]) -> History:
    """Return what was stored of a history, as far as today's goes."""
    then = _newest(cut(series, date.fromisoformat(kept["last"])), kept["bars"])
    digest = digest_of(then)
    # Samples are cached by it: other prices are another version.
    return History(instrument_id, (int(hashlib.sha256(digest.encode()).hexdigest()[:12], 16),), then, digest)


def _newest(series: PriceSeries, bars: int) -> PriceSeries:
    ranges = None
    if series.ranges is not None:
        ranges = series.ranges[-bars:].copy()
        # Of the first day that was read nobody knew the night before.
        ranges[:1] = np.nan
    return PriceSeries(series.ticker, series.dates[-bars:], series.closes[-bars:], ranges)


def _loaded(row: RowMapping, document: Mapping[str, Any], histories: dict[int, History]) -> Loaded:
    parameters = document["parameters"]
    holdings, benchmark = inputs.holdings_of(document)
    return Loaded(
        portfolio_id=row["portfolio_id"],
        revision=row["revision"],
        market_revision=row["market_revision"],
        trigger=row["trigger"],
        base_currency=parameters["base_currency"],
        method=parameters["method"],
        covariance=parameters["covariance"],
        window=parameters["window"],
        confidence=Decimal(parameters["confidence"]),
        holdings=holdings,
        benchmark=benchmark,
        histories=histories,
        cash=inputs.cash_of(document),
        model=inputs.model_of(document),
    )


def _versions(document: Mapping[str, Any], in_use: VolatilityModel) -> Iterator[Cause]:
    then, now = document["code"], inputs.code()
    if then["risk"] != now["risk"] or then["version"] != now["version"]:
        yield Cause(
            "code",
            f"It was computed by Tailwatch {then['version']} (risk core {then['risk'][:12]}); "
            f"this is {now['version']} (risk core {now['risk'][:12]}).",
        )
    if then["numpy"] != np.__version__:
        yield Cause("numpy", f"It was computed with numpy {then['numpy']}; this is {np.__version__}.")
    if document["model"] != in_use.digest:
        yield Cause(
            "model",
            f"Another volatility model is in use now ({in_use.digest[:12]}); it was computed again with its own "
            f"({document['model'][:12]}).",
        )


def _differences(stored: object, computed: object, path: str = "") -> Iterator[str]:
    """Yield where two JSON values differ; floats are the same only to the last bit."""
    if isinstance(stored, dict) and isinstance(computed, dict):
        for key in [*stored, *(computed.keys() - stored.keys())]:
            yield from _differences(stored.get(key), computed.get(key), f"{path}.{key}" if path else key)
    elif isinstance(stored, list) and isinstance(computed, list) and len(stored) == len(computed):
        for place, (one, other) in enumerate(zip(stored, computed, strict=True)):
            yield from _differences(one, other, f"{path}.{place}")
    elif stored != computed:
        yield path
