"""What says whether the product runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import Output, Problem


class Alive(Output):
    """This process answers."""

    status: Literal["ok"]


class Check(Output):
    """One thing that must work."""

    ok: bool
    detail: str


class Ready(Output):
    """Everything that must work does."""

    status: Literal["ready"]
    checks: dict[str, Check] = Field(description="database, migrations, broker, and one `worker:<queue>` each.")


class NotReady(Problem):
    """What does not work, in words."""

    checks: dict[str, Check]
