"""The document of everything that a snapshot's figures depend on, whose SHA-256 is the snapshot's `inputs_hash`.

Two snapshots with the same hash have the same figures to the last bit. The document is kept beside the snapshot, so
that the figures can be computed again (`tailwatch replay`) and their change be explained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from tailwatch import __version__, risk
from tailwatch.measurement.holding import Holding
from tailwatch.risk.volatility import VolatilityModel

if TYPE_CHECKING:
    from tailwatch.measurement.loading import Loaded
    from tailwatch.measurement.series import History

_SOURCES: Final = Path(risk.__file__).resolve().parent
#: What a position's prices were stored as says nothing about the figures: their digest does.
_NOT_AN_INPUT: Final = "market_revision"


def document(loaded: Loaded) -> dict[str, Any]:
    """Return the document; `canonical` is its form to store and to hash."""
    return {
        "code": code(),
        "model": loaded.model.digest,
        "coefficients": loaded.model.coefficients,
        "measure": loaded.model.measure,
        "parameters": {
            "base_currency": loaded.base_currency,
            "method": loaded.method,
            "covariance": loaded.covariance,
            "window": loaded.window,
            "confidence": plain(loaded.confidence),
        },
        "positions": [_position(holding) for holding in loaded.holdings],
        "cash": None if loaded.cash is None else plain(loaded.cash),
        "benchmark": None if loaded.benchmark is None else _position(loaded.benchmark),
        "histories": {str(history.instrument_id): _history(history) for history in loaded.histories.values()},
    }


def canonical(content: Mapping[str, Any]) -> bytes:
    """Return the document as JSON with its keys in order."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=_exact)


@lru_cache(maxsize=1)
def code() -> dict[str, str]:
    """Return the versions that figures depend on: ours, of the risk core's files, and numpy's."""
    digest = hashlib.sha256()
    for path in sorted([*_SOURCES.rglob("*.py"), *_SOURCES.rglob("*.json")]):
        digest.update(path.relative_to(_SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return {"version": __version__, "risk": digest.hexdigest(), "numpy": np.__version__}


def holdings_of(content: Mapping[str, Any]) -> tuple[tuple[Holding, ...], Holding | None]:
    """Return the positions and the benchmark that a stored document names."""
    benchmark, base_currency = content["benchmark"], content["parameters"]["base_currency"]
    return (
        tuple(_holding(one, base_currency) for one in content["positions"]),
        None if benchmark is None else _holding(benchmark, base_currency),
    )


def model_of(content: Mapping[str, Any]) -> VolatilityModel:
    """Return the volatility model that a stored document names."""
    return VolatilityModel.of(content["coefficients"], measure=content.get("measure", "squares"))


def cash_of(content: Mapping[str, Any]) -> Decimal | None:
    """Return the cash in base currency that a stored document names; None: cash did not count."""
    stored = content.get("cash")
    return None if stored is None else Decimal(stored)


def plain(number: Decimal) -> str:
    """Write a number in full, without the zeros that NUMERIC columns pad with."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _position(holding: Holding) -> dict[str, Any]:
    return {name: value for name, value in vars(holding).items() if name != _NOT_AN_INPUT}


def _history(history: History) -> dict[str, Any]:
    """Return what identifies a history; for one that was converted, also what it was converted from and by."""
    document: dict[str, Any] = {
        "digest": history.digest,
        "bars": int(history.series.dates.size),
        "last": history.series.dates[-1].astype(object),
    }
    if history.rate is not None:
        document["rate"] = {"instrument_id": history.rate.instrument_id, **_history(history.rate)}
        document["local"] = None if history.local is None else _history(history.local)
    return document


def _holding(stored: Mapping[str, Any], base_currency: str) -> Holding:
    members = dict(stored) | {_NOT_AN_INPUT: 0, "quantity": Decimal(stored["quantity"])}
    # Before 0.4 nothing was converted: what was in another currency had no value.
    rate = stored["rate"] if "rate" in stored else "1" if stored["currency"] in {None, base_currency} else None
    members["rate"] = None if rate is None else Decimal(rate)
    for name in ("price_day", "rate_day", "due_day"):
        members[name] = None if stored.get(name) is None else date.fromisoformat(stored[name])
    members["remarks"] = tuple((code, message) for code, message in stored.get("remarks", ()))
    if stored["price"] is not None:
        members["price"] = Decimal(stored["price"])
    return Holding(**members)


def _exact(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(f"{type(value).__name__} is no member of the inputs of a snapshot")
