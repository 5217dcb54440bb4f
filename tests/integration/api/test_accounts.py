"""Accounts and secrets, against the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from tailwatch import accounts
from tailwatch.db.session import transaction

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_creating_the_owner_twice_is_one_account_in_whatever_case(engine: Engine) -> None:
    with transaction(engine) as session:
        first = accounts.create_owner(session, "Ada@example.org").id
        assert accounts.create_owner(session, "ada@EXAMPLE.org").id == first


def test_passwords_are_kept_as_argon2id_and_verified(engine: Engine) -> None:
    with transaction(engine) as session:
        user = accounts.create_owner(session, "ada@example.org")
        accounts.set_password(session, user, "correct horse battery")
        found = accounts.find_account(session, "ADA@example.org")
    assert found is not None
    user_id, password_hash = found
    assert user_id == user.id
    assert password_hash is not None
    assert password_hash.startswith("$argon2id$")
    assert accounts.verify_password(password_hash, "correct horse battery")
    assert not accounts.verify_password(password_hash, "correct horse batterz")
    assert not accounts.verify_password(None, "correct horse battery")


def test_short_passwords_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="at least 10 characters"):
        accounts.hash_password("short")


def test_a_new_password_ends_all_sessions(engine: Engine) -> None:
    with transaction(engine) as session:
        user = accounts.create_owner(session, "ada@example.org")
        opened = accounts.open_session(session, user.id, NOW, timedelta(days=1))
        assert accounts.find_holder(session, accounts.Credential("session", opened.token), NOW) == opened.principal
        accounts.set_password(session, user, "correct horse battery")
        assert accounts.find_holder(session, accounts.Credential("session", opened.token), NOW) is None


def test_no_secret_is_in_the_database(engine: Engine) -> None:
    with transaction(engine) as session:
        user = accounts.create_owner(session, "ada@example.org")
        secrets = [
            accounts.open_session(session, user.id, NOW, timedelta(days=1)).token,
            accounts.create_token(session, user.id, "bot", "write", NOW)[1],
            accounts.create_sign_in_link(session, user, NOW),
        ]
    with engine.connect() as connection:
        for table in ("sessions", "api_tokens", "sign_in_links"):
            rows = connection.execute(text(f"SELECT to_jsonb(t)::text FROM {table} t")).scalars().all()
            assert len(rows) == 1
            for secret in secrets:
                assert secret not in rows[0]
                assert secret.encode().hex() not in rows[0]


def test_credentials_end_on_time(engine: Engine) -> None:
    with transaction(engine) as session:
        user = accounts.create_owner(session, "ada@example.org")
        opened = accounts.open_session(session, user.id, NOW, timedelta(days=1))
        _, secret = accounts.create_token(session, user.id, "bot", "read", NOW, lifetime=timedelta(days=1))
        late, later = NOW + timedelta(hours=23), NOW + timedelta(hours=24)
        assert accounts.find_holder(session, accounts.Credential("session", opened.token), late) is not None
        assert accounts.find_holder(session, accounts.Credential("session", opened.token), later) is None
        found = accounts.find_holder(session, accounts.Credential("token", secret), late)
        assert found is not None
        assert (found.user_id, found.scope, found.csrf_token) == (user.id, "read", None)
        assert accounts.find_holder(session, accounts.Credential("token", secret), later) is None
        without_prefix = accounts.Credential("token", secret.removeprefix(accounts.TOKEN_PREFIX))
        assert accounts.find_holder(session, without_prefix, late) is None


def test_only_the_owner_revokes_a_token_and_only_once(engine: Engine) -> None:
    with transaction(engine) as session:
        ada = accounts.create_owner(session, "ada@example.org")
        eve = accounts.create_owner(session, "eve@example.org")
        token, secret = accounts.create_token(session, ada.id, "bot", "read", NOW)
        assert not accounts.revoke_token(session, eve.id, token.id, NOW)
        assert accounts.find_holder(session, accounts.Credential("token", secret), NOW) is not None
        assert accounts.revoke_token(session, ada.id, token.id, NOW)
        assert accounts.find_holder(session, accounts.Credential("token", secret), NOW) is None
        assert not accounts.revoke_token(session, ada.id, token.id, NOW)
