"""Who somebody is: accounts, passwords, browser sessions, one-time links, API tokens.

Secrets are 256 random bits and stored as SHA-256 only; a slow hash would add nothing to them. Passwords are chosen
by people and get argon2id. Nothing is cached: a session or token that was revoked is refused by the next statement.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Connection, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as OrmSession

from tailwatch.db.models import ApiToken, Session, SignInLink, User

Scope = Literal["read", "write"]

TOKEN_PREFIX: Final = "tw_"  # noqa: S105 - a mark that secret scanners can find, not a secret
SIGN_IN_LINK_LIFETIME: Final = timedelta(hours=24)
SHORTEST_PASSWORD: Final = 10
#: `last_used_at` of a token is as exact as this: one write a minute, however many requests.
TOKEN_USE_RESOLUTION: Final = timedelta(minutes=1)

# The library's defaults are RFC 9106's second recommendation: 64 MiB, 3 passes.
_hasher = PasswordHasher()


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    """Verified against when there is no such account, so that the answer takes as long as for one that exists."""
    return _hasher.hash(secrets.token_urlsafe(16))


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credential held, and what the credential allows."""

    user_id: int
    email: str
    scope: Scope
    session_id: int | None = None
    #: Of the session; None for an API token.
    csrf_token: str | None = None
    token_id: int | None = None
    #: When the credential ends; None for a token that ends only by being revoked.
    expires_at: datetime | None = None
    #: `last_used_at` of the token is older than `TOKEN_USE_RESOLUTION`.
    touch_due: bool = False


def hash_secret(secret: str) -> bytes:
    """Return what is stored of a token: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


# --- credentials: who holds one ---

CredentialKind = Literal["session", "token"]


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller showed, before anybody knows whether it holds."""

    kind: CredentialKind
    secret: str


#: Who holds a credential, asked with `holder_parameters`: the columns of a `Principal`, or no row if it does not.
#: The one place that says so; api.auth joins what a request reads to it.
HOLDER: Final[dict[CredentialKind, str]] = {
    "session": """
        SELECT u.id AS user_id, u.email, 'write' AS scope, s.id AS session_id, s.csrf_token, NULL::bigint AS token_id,
               s.expires_at, false AS touch_due
        FROM sessions s JOIN users u ON u.id = s.user_id
        WHERE s.token_hash = :hash AND s.expires_at > :now
    """,
    "token": """
        SELECT u.id AS user_id, u.email, t.scope, NULL::bigint AS session_id, NULL AS csrf_token, t.id AS token_id,
               t.expires_at, coalesce(t.last_used_at < :untouched, true) AS touch_due
        FROM api_tokens t JOIN users u ON u.id = t.user_id
        WHERE t.token_hash = :hash AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > :now)
    """,
}
_FIND: Final = {kind: text(query) for kind, query in HOLDER.items()}


def holder_parameters(credential: Credential, now: datetime) -> dict[str, object]:
    """Return the parameters of `HOLDER`."""
    return {"hash": hash_secret(credential.secret), "now": now, "untouched": now - TOKEN_USE_RESOLUTION}


def find_holder(connection: Connection | OrmSession, credential: Credential, now: datetime) -> Principal | None:
    """Return who holds this credential, in one statement; None if it is unknown, revoked or expired."""
    row = connection.execute(_FIND[credential.kind], holder_parameters(credential, now)).one_or_none()
    return None if row is None else Principal(*row)


# --- accounts and passwords ---


def create_owner(session: OrmSession, email: str) -> User:
    """Return the account with this e-mail address, made if there is none."""
    session.execute(insert(User).values(email=email).on_conflict_do_nothing())
    return session.scalars(select(User).where(func.lower(User.email) == email.lower())).one()


def hash_password(password: str) -> str:
    """Return the argon2id hash to store. Takes about a tenth of a second of processor time.

    Raises:
        ValueError: the password is too short; the message is for its owner.
    """
    if len(password) < SHORTEST_PASSWORD:
        raise ValueError(f"A password needs at least {SHORTEST_PASSWORD} characters.")
    return _hasher.hash(password)


def set_password(session: OrmSession, user: User, password: str) -> list[int]:
    """Give `user` a new password and end every session that the old one opened; return their ids.

    Raises:
        ValueError: the password is too short.
    """
    session.execute(update(User).where(User.id == user.id).values(password_hash=hash_password(password)))
    return list(session.scalars(delete(Session).where(Session.user_id == user.id).returning(Session.id)))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Say whether `password` is the one behind `password_hash`; as slow for an account without one."""
    try:
        _hasher.verify(password_hash or _nobodys_hash(), password)
    except (VerifyMismatchError, InvalidHashError):
        return False
    return password_hash is not None


def find_account(session: OrmSession | Connection, email: str) -> tuple[int, str | None] | None:
    """Return id and password hash of the account with this e-mail address, in whatever case it is written."""
    row = session.execute(
        select(User.id, User.password_hash).where(func.lower(User.email) == email.lower())
    ).one_or_none()
    return None if row is None else (row.id, row.password_hash)


# --- one-time links ---


def create_sign_in_link(session: OrmSession, user: User, now: datetime) -> str:
    """Return the secret of a link that signs `user` in once within a day."""
    token = secrets.token_urlsafe(32)
    session.add(
        SignInLink(
            token_hash=hash_secret(token), user_id=user.id, created_at=now, expires_at=now + SIGN_IN_LINK_LIFETIME
        )
    )
    return token


def redeem_sign_in_link(session: OrmSession, token: str, now: datetime) -> int | None:
    """Use up a link; return whose it is, or None if it is unknown, used or expired."""
    return session.execute(
        update(SignInLink)
        .where(SignInLink.token_hash == hash_secret(token), SignInLink.used_at.is_(None), SignInLink.expires_at > now)
        .values(used_at=now)
        .returning(SignInLink.user_id)
    ).scalar_one_or_none()


# --- browser sessions ---


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A new session: `token` goes into the cookie and is kept nowhere else."""

    token: str
    principal: Principal
    expires_at: datetime


def open_session(session: OrmSession, user_id: int, now: datetime, lifetime: timedelta) -> OpenedSession:
    """Sign `user_id` in."""
    token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    opened = Session(token_hash=hash_secret(token), user_id=user_id, csrf_token=csrf_token, expires_at=now + lifetime)
    session.add(opened)
    session.flush()
    email = session.execute(select(User.email).where(User.id == user_id)).scalar_one()
    principal = Principal(
        user_id, email, "write", session_id=opened.id, csrf_token=csrf_token, expires_at=opened.expires_at
    )
    return OpenedSession(token, principal, opened.expires_at)


def close_session(session: OrmSession, session_id: int) -> None:
    """Sign out."""
    session.execute(delete(Session).where(Session.id == session_id))


# --- API tokens ---


def create_token(
    session: OrmSession, user_id: int, name: str, scope: Scope, now: datetime, *, lifetime: timedelta | None = None
) -> tuple[ApiToken, str]:
    """Return a new token and its secret, which is shown once and kept nowhere."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        user_id=user_id,
        name=name,
        token_hash=hash_secret(secret),
        scope=scope,
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
    )
    session.add(token)
    session.flush()
    return token, secret


def touch_token(connection: Connection, token_id: int, now: datetime) -> None:
    """Note that a token was used; a token that somebody else is noting right now is left to them."""
    connection.execute(
        text(
            """
            UPDATE api_tokens SET last_used_at = :now
            WHERE id = (SELECT id FROM api_tokens WHERE id = :id AND coalesce(last_used_at < :now - :resolution, true)
                        FOR UPDATE SKIP LOCKED)
            """
        ),
        {"id": token_id, "now": now, "resolution": TOKEN_USE_RESOLUTION},
    )


def revoke_token(session: OrmSession, user_id: int, token_id: int, now: datetime) -> bool:
    """Revoke a token for good; return whether this user had such a token."""
    revoked = session.execute(
        update(ApiToken)
        .where(ApiToken.id == token_id, ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(ApiToken.id)
    )
    return revoked.scalar_one_or_none() is not None


# --- live connections: asked again before every event ---

_STILL_ALLOWED = text(
    """
    SELECT asked.position
    FROM unnest(CAST(:sessions AS bigint[]), CAST(:tokens AS bigint[]), CAST(:users AS bigint[]))
         WITH ORDINALITY AS asked(session_id, token_id, user_id, position)
    JOIN portfolios p ON p.id = :portfolio_id AND p.user_id = asked.user_id
    LEFT JOIN sessions s ON s.id = asked.session_id AND s.expires_at > :now
    LEFT JOIN api_tokens t ON t.id = asked.token_id AND t.revoked_at IS NULL
                          AND (t.expires_at IS NULL OR t.expires_at > :now)
    WHERE s.id IS NOT NULL OR t.id IS NOT NULL
    """
)


def still_allowed(
    connection: Connection, portfolio_id: int, principals: list[Principal], now: datetime
) -> set[Principal]:
    """Return those whose session or token still holds and who still own the portfolio, in one statement."""
    rows = connection.execute(
        _STILL_ALLOWED,
        {
            "portfolio_id": portfolio_id,
            "sessions": [principal.session_id for principal in principals],
            "tokens": [principal.token_id for principal in principals],
            "users": [principal.user_id for principal in principals],
            "now": now,
        },
    )
    return {principals[row.position - 1] for row in rows}
