"""What all tables share: names of constraints, types, the declarative base."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, LargeBinary, MetaData, Numeric, Sequence, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Every batch of new prices takes the next number; a portfolio's `market_revision` is the newest that touched it.
market_revision_sequence = Sequence("market_revision", metadata=metadata)

Quantity = Numeric(28, 10)
Price = Numeric(28, 10)


class Base(DeclarativeBase):
    """Declarative base of all tables."""

    metadata = metadata
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as it stands
        datetime: DateTime(timezone=True),
        str: Text,
        int: BigInteger,
        bytes: LargeBinary,
        dict[str, Any]: JSONB,
    }


def identity() -> Mapped[int]:
    """Return the column of a key that the database counts up."""
    return mapped_column(Identity(always=True), primary_key=True)


def created() -> Mapped[datetime]:
    """Return the column of the time at which a row was made."""
    return mapped_column(server_default=func.now())
