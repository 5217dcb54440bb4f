"""Every setting of Tailwatch, read from the environment; `.env.example` explains each one."""

from __future__ import annotations

from datetime import time
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """The process's settings. A name here is the environment variable of the same name in capitals.

    Raises:
        pydantic.ValidationError: a variable holds a value outside its allowed range.
    """

    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True)

    database_url: str = "postgresql://tailwatch@127.0.0.1:5432/tailwatch"
    redis_url: str = "redis://127.0.0.1:6379/0"

    price_sources: Annotated[tuple[Literal["yahoo", "sample"], ...], NoDecode] = ("yahoo", "sample")
    price_history_days: int = Field(default=2200, ge=120, le=20_000)
    yahoo_timeout_seconds: float = Field(default=10.0, gt=0, le=120)
    yahoo_base_url: str | None = None

    #: When the nightly refresh is due, UTC; the default is after New York's close in winter and in summer.
    nightly_at: time = time(22, 30)

    session_days: int = Field(default=30, ge=1, le=365)
    cookie_secure: bool = False
    login_attempts_per_minute: int = Field(default=10, ge=1)
    writes_per_minute: int = Field(default=20_000, ge=1)
    trust_proxy_hops: int = Field(default=0, ge=0, le=5)

    frontend_dist: Path = Path(__file__).resolve().parent.parent / "frontend" / "dist" / "browser"
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    prometheus_multiproc_dir: Path | None = None

    tailwatch_host: str = "127.0.0.1"
    web_concurrency: int = Field(default=2, ge=1, le=64)
    tailwatch_port: int = Field(default=8080, ge=1, le=65_535)

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
            raise ValueError("PRICE_SOURCES names no source; use yahoo, sample or both")
        return value


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return this process's settings, read once."""
    return Settings()
