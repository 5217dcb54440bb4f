"""The coefficients that are shipped, as a data file with their provenance, and files of the same form."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any

from tailwatch.errors import InvalidModelError
from tailwatch.risk.volatility import VolatilityModel


@lru_cache(maxsize=1)
def default_model() -> VolatilityModel:
    """Return the shipped model."""
    return from_json((resources.files("tailwatch.risk") / "data" / "volatility_model.json").read_text())


def from_json(document: str) -> VolatilityModel:
    """Return the model that a file of `to_json` describes.

    Raises:
        InvalidModelError: it is none.
    """
    try:
        content: Any = json.loads(document)
        groups = {name: tuple(float(value) for value in content[name]) for name in ("squares", "downside", "market")}
        measure = content.get("measure", "squares")
        provenance = {str(name): str(value) for name, value in content.get("provenance", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidModelError(f"This is no volatility model: {type(error).__name__}: {error}.") from error
    return VolatilityModel(**groups, provenance=provenance, measure=measure)


def to_json(model: VolatilityModel) -> str:
    """Return the model as the text of a file."""
    content = {
        "squares": model.squares,
        "downside": model.downside,
        "market": model.market,
        "measure": model.measure,
        "provenance": dict(model.provenance),
    }
    return json.dumps(content, indent=2) + "\n"
