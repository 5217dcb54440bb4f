"""Which volatility model is in use: the newest row of `volatility_models`, or the shipped one.

It stands in the database, so that all processes of all hosts have the same one from one computation to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from tailwatch.risk.coefficients import default_model, from_json, to_json
from tailwatch.risk.volatility import VolatilityModel

#: The model in use as the text of a file, NULL for the shipped one: for the SELECT list of any query.
COLUMN: Final = "(SELECT model FROM volatility_models ORDER BY id DESC LIMIT 1) AS volatility_model"

_NEWEST: Final = text("SELECT model, chosen_at FROM volatility_models ORDER BY id DESC LIMIT 1")
_CHOOSE: Final = text("INSERT INTO volatility_models (model) VALUES (:model)")


@dataclass(frozen=True)
class Choice:
    """The model in use.

    Attributes:
        model: It.
        shipped: Whether it is the one that this version comes with.
        chosen_at: When somebody last chose; None: nobody ever did.
    """

    model: VolatilityModel
    shipped: bool
    chosen_at: datetime | None


def of_column(stored: str | None) -> VolatilityModel:
    """Return the model that `COLUMN` says."""
    return default_model() if stored is None else _parsed(stored)


def current(connection: Connection) -> Choice:
    """Return the model in use, and since when."""
    row = connection.execute(_NEWEST).one_or_none()
    if row is None:
        return Choice(default_model(), shipped=True, chosen_at=None)
    return Choice(of_column(row.model), shipped=row.model is None, chosen_at=row.chosen_at)


def choose(session: Session, model: VolatilityModel | None) -> None:
    """Use a model from the next computation on; None: the shipped one, that of a later version included.

    Figures that are stored stay as they are until their portfolios are computed anew (`refresh.raise_all`).
    """
    session.execute(_CHOOSE, {"model": None if model is None else to_json(model)})


@lru_cache(maxsize=4)
def _parsed(stored: str) -> VolatilityModel:
    return from_json(stored)
