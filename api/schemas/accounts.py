"""Signing in, and tokens for programs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import Email, Input, Moment, Name, Output, Page, Secret

Scope = Literal["read", "write"]


class SignIn(Input):
    """E-mail address and password."""

    email: Email
    password: Secret


class LinkRedemption(Input):
    """The token of a one-time sign-in link."""

    token: Secret


class Account(Output):
    """Who is signed in."""

    id: int
    email: str


class Me(Output):
    """The caller, and what a page needs to write."""

    user: Account
    csrf_token: str | None = Field(
        description="Goes back as `X-CSRF-Token` with every write; null for an API token, which needs none."
    )


class TokenCreate(Input):
    """A new API token."""

    name: Name
    scope: Scope = "read"
    expires_in_days: int | None = Field(default=None, ge=1, le=3650, description="Null or left out: never.")


class Token(Output):
    """An API token, without its secret."""

    id: int
    name: str
    scope: Scope
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None = Field(description="Exact to the minute.")


class NewToken(Token):
    """A token just made: the only answer that shows its secret."""

    token: str


class TokenPage(Page):
    """Tokens that are neither revoked nor expired, newest first."""

    items: list[Token]
