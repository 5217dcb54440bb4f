"""The types that every schema is made of: exact numbers, clean text, moments in time."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

#: Of money, prices and quantities: what NUMERIC(28, 10) and the tables' constraints take.
LARGEST: Final = Decimal("1e12")
DECIMAL_PLACES: Final = 10
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)

_NUMBER: Final = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"


def plain(value: Decimal) -> str:
    """Return `value` exactly, without exponent and without zeros that say nothing: `18009`, `0.5`."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _as_decimal(value: object) -> Decimal:
    """Take a JSON number (already a Decimal or int: the parser never makes floats of them) or a string of one."""
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        number = Decimal(value)
    elif isinstance(value, str) and len(value) <= 64 and re.match(_NUMBER, value.strip(), re.ASCII):
        try:
            number = Decimal(value.strip())
        except InvalidOperation as error:
            raise ValueError("must be a number") from error
    else:
        raise ValueError('must be a number, or a string of one such as "12.5"')
    if not number.is_finite():
        raise ValueError("must be a finite number")
    if abs(number) > LARGEST:
        raise ValueError("must not be larger than 1,000,000,000,000 in size")
    if number and number.adjusted() < -DECIMAL_PLACES:
        raise ValueError(f"must not have more than {DECIMAL_PLACES} decimal places")
    if number != round(number, DECIMAL_PLACES):
        raise ValueError(f"must not have more than {DECIMAL_PLACES} decimal places")
    return number


def _number_schema(description: str, **bounds: int) -> WithJsonSchema:
    limits: dict[str, Any] = {"minimum": -int(LARGEST), "maximum": int(LARGEST), **bounds}
    return WithJsonSchema(
        {
            "description": f"{description} A number, or a string of one; read exactly, at most "
            f"{DECIMAL_PLACES} decimal places.",
            "anyOf": [{"type": "string", "pattern": _NUMBER, "maxLength": 64}, {"type": "number", **limits}],
            "examples": ["12.5"],
        }
    )


def _not_zero(value: Decimal) -> Decimal:
    if value == 0:
        raise ValueError("must not be zero: positive for a purchase, negative for a sale")
    return value


def _some(value: Decimal) -> Decimal:
    if value == 0:
        raise ValueError("must not be zero")
    return value


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("must be positive")
    return value


def _not_negative(value: Decimal) -> Decimal:
    if value < 0:
        raise ValueError("must not be negative")
    return value


Quantity = Annotated[
    Decimal,
    BeforeValidator(_as_decimal),
    AfterValidator(_not_zero),
    _number_schema("Shares: positive for a purchase, negative for a sale; not zero."),
]
Amount = Annotated[
    Decimal, BeforeValidator(_as_decimal), AfterValidator(_not_negative), _number_schema("Not negative.", minimum=0)
]

SignedAmount = Annotated[
    Decimal,
    BeforeValidator(_as_decimal),
    AfterValidator(_some),
    _number_schema("Not zero."),
]
Rate = Annotated[
    Decimal,
    BeforeValidator(_as_decimal),
    AfterValidator(_positive),
    _number_schema("Positive.", exclusiveMinimum=0),
]

#: Going out: the exact decimal as a string.
Exact = Annotated[
    Decimal,
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "format": "decimal", "pattern": r"^-?\d+(\.\d+)?$", "examples": ["18009.5"]}),
]


def _clean(value: str) -> str:
    for character in value:
        if unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t":
            raise ValueError("must not contain control characters")
    return value


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_clean)]
Account = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_clean)
]
Note = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_clean)]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_clean)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=254), AfterValidator(_clean)]
#: A password, or a secret token: compared, never kept.
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]

_TICKER: Final = r"^[A-Za-z0-9^][A-Za-z0-9.^=_-]{0,23}$"


def _as_ticker(value: object) -> object:
    if not isinstance(value, str):
        return value  # the type error is pydantic's to report
    if not re.match(_TICKER, value.strip(), re.ASCII):
        raise ValueError(
            "is not a ticker: 1 to 24 letters, digits or . - ^ = _ without spaces, as the price source writes it, "
            "such as AAPL, BRK-B or SAP.DE"
        )
    return value.strip().upper()


Ticker = Annotated[
    str,
    BeforeValidator(_as_ticker),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": _TICKER,
            "examples": ["AAPL"],
            "description": "As the price source writes it.",
        }
    ),
]


def _as_moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a date and time such as 2026-03-31T15:30:00Z")  # noqa: TRY004 - pydantic's way
    try:
        moment = datetime.fromisoformat(value.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("must be a date and time such as 2026-03-31T15:30:00Z") from error
    return moment


def _in_range(moment: datetime) -> datetime:
    if moment < EARLIEST:
        raise ValueError("must not be before 1900")
    # A day of grace: somewhere it is tomorrow already.
    if moment > datetime.now(UTC) + timedelta(days=1):
        raise ValueError("must not be in the future")
    return moment


ExecutedAt = Annotated[
    datetime,
    BeforeValidator(_as_moment),
    AfterValidator(_in_range),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "ISO 8601; without an offset it is UTC. Not before 1900, not in the future.",
            "examples": ["2026-03-31T15:30:00Z"],
        }
    ),
]


def _as_date(value: object) -> object:
    if isinstance(value, str) and not re.match(r"^\d{4}-\d{2}-\d{2}$", value, re.ASCII):
        raise ValueError("must be a date such as 2026-03-31")
    return value


Day = Annotated[date, BeforeValidator(_as_date)]


def _with_z(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    PlainSerializer(_with_z, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

Id = Annotated[int, Field(ge=1, le=2**63 - 1)]


class Input(BaseModel):
    """What a caller sends: members that are not known are refused, so that a typo is never ignored."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """What we answer."""

    model_config = ConfigDict(from_attributes=True, validate_by_name=True)


def _hide_null_defaults(schema: dict[str, Any]) -> None:
    for member in schema.get("properties", {}).values():
        if member.get("default", ...) is None:
            del member["default"]


#: Default of a member that may be left out of a change, but not be null. Which ones were sent stands in
#: `model_fields_set`; this value is never read.
LEFT_OUT: Any = None


class Change(Input):
    """A partial change: members that are left out stay as they are."""

    model_config = ConfigDict(json_schema_extra=_hide_null_defaults)

    def changes(self) -> dict[str, Any]:
        """Return the members that were sent, by name."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class PageQuery(Input):
    """Where a list continues and how much of it is wanted."""

    cursor: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )
    limit: int = Field(default=50, ge=1, le=500)


class Page(Output):
    """A part of a list."""

    next_cursor: str | None = Field(description="Pass it as `cursor` for what follows; null at the end.")


class FieldError(Output):
    """What is wrong with one member of the request."""

    field: str = Field(description="Path of the member, such as `quantity`; empty for the request as a whole.")
    message: str


class Problem(Output):
    """Why a request was refused (RFC 9457)."""

    type: str = Field(description="Stable name of the kind of problem, such as `/problems/invalid-input`.")
    title: str
    status: int
    detail: str = Field(description="A sentence for a person, with what to do.")
    errors: list[FieldError] = Field(default=[], description="By member, where the request's content is at fault.")
