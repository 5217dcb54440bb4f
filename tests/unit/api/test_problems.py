from __future__ import annotations

import psycopg2
import pytest
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from api import problems


class WithCode(psycopg2.OperationalError):
    def __init__(self, code: str | None) -> None:
        super().__init__("server says no")
        self._code = code

    @property
    def pgcode(self) -> str | None:  # type: ignore[override]
        return self._code


@pytest.mark.parametrize("code", [None, "08006", "53300", "57P01", "57014", "55P03", "40001", "40P01"])
def test_what_passes_by_itself_is_503_with_a_retry(code: str | None) -> None:
    problem = problems.from_database(exc.OperationalError("SELECT 1", {}, WithCode(code)))
    assert problem is not None
    assert problem.status == 503
    assert problem.headers["Retry-After"]


def test_an_exhausted_pool_is_503() -> None:
    problem = problems.from_database(exc.TimeoutError())
    assert problem is not None
    assert problem.status == 503


@pytest.mark.parametrize("code", ["42P01", "42601", "XX000"])
def test_our_own_mistakes_are_not_dressed_up(code: str) -> None:
    assert problems.from_database(exc.ProgrammingError("SELECT", {}, WithCode(code))) is None


@pytest.mark.parametrize(
    ("error", "slug"), [(RequestEntityTooLarge(), "too-large"), (MethodNotAllowed(["GET"]), "method-not-allowed")]
)
def test_what_werkzeug_raises_has_a_stable_type(error: HTTPException, slug: str) -> None:
    problem = problems.from_exception(error)
    assert problem is not None
    assert problem.document()["type"] == f"/problems/{slug}"
    assert problem.status == error.code


def test_names_that_cannot_be_sent_are_written_out() -> None:
    document = problems.invalid(("\ud800", "is not known")).document()
    assert document["errors"][0]["field"] == "\\ud800"
    document["detail"].encode()


def test_unexpected_errors_are_nobodys_problem() -> None:
    assert problems.from_exception(ZeroDivisionError()) is None
