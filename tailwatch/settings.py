"""Every setting of Tailwatch, read from the environment; `.env.example` explains each one."""

from __future__ import annotations

import os
from datetime import date, time
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)


class SecretFiles(EnvSettingsSource):
    """`NAME_FILE` wherever `NAME` does: the value is what that file holds, without the line's end.

    The way to hand over a secret that `docker inspect`, crash reports and child processes must not show.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Return what the file of a field says; see `EnvSettingsSource`.

        Raises:
            ValueError: both are set, or the file cannot be read; pydantic-settings says which setting it was.
        """
        name = field_name.upper()
        path = os.environ.get(f"{name}_FILE")
        if not path:
            return None, field_name, False
        if os.environ.get(name):
            raise ValueError(f"{name} and {name}_FILE are both set; keep one of them.")
        try:
            return Path(path).read_text().rstrip("\r\n"), field_name, False
        except OSError as error:
            raise ValueError(f"{name}_FILE: {path} cannot be read ({error.strerror}).") from error


class Settings(BaseSettings):
    """The process's settings. A name here is the environment variable of the same name in capitals.

    Raises:
        pydantic.ValidationError: a variable holds a value outside its allowed range.
    """

    model_config = SettingsConfigDict(
        env_file=None,
        extra="ignore",
        frozen=True,
        # `NAME=` is how a .env file says "not set".
        env_ignore_empty=True,
        # A refused value may be a secret.
        hide_input_in_errors=True,
    )

    database_url: str = "postgresql://tailwatch@127.0.0.1:5432/tailwatch"
    #: Put into `database_url` where that has none, so that an address can stand in the open and the secret in a file.
    database_password: str | None = Field(default=None, repr=False)
    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_password: str | None = Field(default=None, repr=False)

    price_sources: Annotated[tuple[Literal["yahoo", "csv", "folder", "sample"], ...], NoDecode] = ("yahoo", "sample")
    price_history_days: int = Field(default=10_600, ge=120, le=20_000)
    #: Requests for prices that are under way at once.
    price_concurrency: int = Field(default=4, ge=1, le=32)
    yahoo_timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    yahoo_base_url: str | None = None
    #: With {ticker}, and if need be {start}, {end} and {key}.
    csv_prices_url: str | None = None
    csv_prices_key: str | None = Field(default=None, repr=False)
    csv_prices_currency: str | None = Field(default=None, pattern="^[A-Za-z]{3}$")
    csv_prices_per_minute: int = Field(default=60, ge=1, le=6000)
    #: With one file a ticker: AAPL.csv or AAPL.parquet.
    price_folder: Path | None = None
    price_folder_currency: str | None = Field(default=None, pattern="^[A-Za-z]{3}$")

    #: Whether ./run starts worker/quotes, which follows a stream of prices while pages are open.
    live_quotes: bool = False
    live_quotes_url: str | None = None
    live_quotes_per_second: float = Field(default=4, gt=0, le=20)

    #: When the nightly refresh is due, UTC; the default is after New York's close in winter and in summer.
    nightly_at: time = time(22, 30)

    #: When the daily backup is due, UTC; unset: never.
    backup_at: time | None = None
    backup_dir: Path | None = None
    backup_keep: int = Field(default=7, ge=1)

    session_days: int = Field(default=30, ge=1, le=365)
    cookie_secure: bool = False
    login_attempts_per_minute: int = Field(default=10, ge=1)
    writes_per_minute: int = Field(default=20_000, ge=1)
    trust_proxy_hops: int = Field(default=0, ge=0, le=5)

    frontend_dist: Path = Path(__file__).resolve().parent.parent / "frontend" / "dist" / "browser"
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    prometheus_multiproc_dir: Path | None = None

    #: How often workers and scheduler publish what they count; 0: they do not count.
    metrics_push_seconds: float = Field(default=0, ge=0, le=300)
    #: Reads /metrics, and nothing else.
    metrics_token: str | None = Field(default=None, repr=False)
    #: Where the web server in front tells how it is (nginx stub_status).
    edge_status_url: str | None = None
    #: Workers tell of each task and take questions: for Flower.
    celery_events: bool = False

    #: Programs without a port touch files here while they work, for health checks to look at.
    health_dir: Path | None = None

    #: Where web processes and nginx agree on which kept reads must not be used (api/edge_cache.py).
    edge_marks_dir: Path | None = None

    #: What people type to get here, for links on the command line.
    public_url: str | None = None
    tailwatch_host: str = "127.0.0.1"
    #: A unix socket to listen on besides, for a web server in front on the same machine.
    tailwatch_socket: Path | None = None
    web_concurrency: int = Field(default=2, ge=1, le=64)
    tailwatch_port: int = Field(default=8080, ge=1, le=65_535)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - compose reads .env, not we
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a folder of secrets; ours are named one by one
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings come from: arguments, then variables, then files that variables name."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @model_validator(mode="before")
    @classmethod
    def _put_passwords_in(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("metrics_token"):
            refuse_weak("METRICS_TOKEN", values["metrics_token"])
        for kind in ("database", "redis"):
            password = values.get(f"{kind}_password")
            if password:
                refuse_weak(f"{kind.upper()}_PASSWORD", password)
                url = values.get(f"{kind}_url") or cls.model_fields[f"{kind}_url"].default
                values = values | {f"{kind}_url": with_password(url, password)}
        return values

    @field_validator("price_sources", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("price_sources")
    @classmethod
    def _at_least_one(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("PRICE_SOURCES names no source; use some of yahoo, csv, folder and sample")
        return value

    @field_validator("csv_prices_url")
    @classmethod
    def _is_template(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            fields = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
            value.format(ticker="KO", start=date(2026, 1, 1), end=date(2026, 1, 2), key="")
        except (LookupError, ValueError, AttributeError):
            fields = set()
        if not value.startswith(("http://", "https://")) or "ticker" not in fields or not fields <= _TEMPLATE_FIELDS:
            raise ValueError(
                "it is an address that begins with http:// or https:// and has {ticker} in it, and no other braces "
                "than {start}, {end} and {key}; a day in another form is {start:%Y%m%d}"
            )
        return value

    @model_validator(mode="after")
    def _sources_are_complete(self) -> Self:
        for source, name in (("csv", "csv_prices_url"), ("folder", "price_folder")):
            if source in self.price_sources and getattr(self, name) is None:
                raise ValueError(f"PRICE_SOURCES names {source}, so {name.upper()} must be set")
        return self


#: What CSV_PRICES_URL is filled with.
_TEMPLATE_FIELDS = {"ticker", "start", "end", "key"}
#: What people type to get on, and what guides print; longer ones that begin so are as well known.
_WELL_KNOWN = ("password", "changeme", "change-me", "secret", "tailwatch", "postgres", "redis", "valkey", "example")
SHORTEST_SECRET = 12


def refuse_weak(name: str, secret: str) -> None:
    """Let only secrets through that nobody guesses.

    Raises:
        ValueError: the secret is short, one character over and over, or built on a well-known one.
    """
    plain = secret.lower()
    known = next((word for word in _WELL_KNOWN if plain.startswith(word)), None)
    if len(secret) >= SHORTEST_SECRET and len(set(secret)) > 3 and (known is None or len(plain) > 2 * len(known) + 8):
        return
    raise ValueError(
        f"{name} is too easy to guess. Use at least {SHORTEST_SECRET} random characters, such as the output of: "
        "openssl rand -hex 24"
    )


def with_password(url: str, password: str) -> str:
    """Return `url` with `password` in it, or as it is where it has one already."""
    parts = urlsplit(url)
    if parts.password is not None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return this process's settings, read once.

    Raises:
        ValueError: a setting cannot be used; the message says which, and why.
    """
    try:
        return Settings()
    except SettingsError as error:
        # pydantic-settings says only which field it was; what is wrong with it stands in the cause.
        raise ValueError(str(error.__cause__ or error)) from None


def settings_or_exit() -> Settings:
    """Return this process's settings; end the process with the sentence, not a traceback, if one is refused.

    For the first thing that a process does. Everything after it calls `get_settings`.
    """
    try:
        return get_settings()
    except ValidationError as error:
        reasons = [
            f"{'.'.join(map(str, one['loc'])).upper()}: {one['msg'].removeprefix('Value error, ')}".lstrip(": ")
            for one in error.errors()
        ]
        raise SystemExit("Tailwatch cannot start. " + " ".join(reasons)) from None
    except ValueError as error:
        raise SystemExit(f"Tailwatch cannot start. {error}") from None
