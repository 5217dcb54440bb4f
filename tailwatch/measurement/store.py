"""Shared samples in files of this host: made by whoever needs them first, mapped into memory by all others.

A folder holds the samples of one wish; its name says what they were made of, so it never changes and is never out of
date. Nothing in it is missed: what is lost, or cannot be written, is made again.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import structlog

from tailwatch.measurement.shared import Shared
from tailwatch.risk.episodes import EPISODES, EpisodeReturns
from tailwatch.risk.scenarios import Scenarios
from tailwatch.risk.types import AlignedBenchmark, AlignedInstrument, Sample, Status

#: What the folders may weigh together, which in a container is memory: some 20 MB a night for 500 instruments, 200 MB
#: for 5,000. The two newest stay whatever they weigh.
_MOST_BYTES: Final = 256 * 2**20
_FEWEST: Final = 2
_ABOUT: Final = "about.json"

log = structlog.get_logger(__name__)


def fetch(name: str, make: Callable[[], Sequence[Shared]]) -> Sequence[Shared]:
    """Return the samples that are stored under a name, or make and store them.

    Processes that want the same at once wait for one of them to make it.

    Args:
        name: Of their folder: whatever they depend on, hashed.
        make: Makes them.
    """
    try:
        folder = _folder()
        with _alone(folder):
            if (folder / name).exists():
                try:
                    return _read(folder / name)
                except (OSError, ValueError, KeyError) as error:
                    log.warning("shared samples cannot be read and are made again", error=str(error))
                    shutil.rmtree(folder / name)
            _write(folder, name, make())
            _tidy(folder, name)
            return _read(folder / name)
    except OSError as error:
        log.warning("samples cannot be shared between processes", error=str(error))
        return make()


def _folder() -> Path:
    """Return where the samples lie.

    Raises:
        OSError: it cannot be made, or somebody else made it.
    """
    folder = Path(tempfile.gettempdir()) / f"tailwatch-samples-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if about.st_uid != os.getuid() or about.st_mode & 0o077 or folder.is_symlink():
        raise PermissionError(f"{folder} is not this user's alone")
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder meanwhile; a process that dies lets them in."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _tidy(folder: Path, newest: str) -> None:
    others = [one for one in folder.iterdir() if one.is_dir() and one.name != newest]
    others.sort(key=lambda one: one.stat().st_mtime, reverse=True)
    bytes_kept = 0
    for place, one in enumerate([folder / newest, *others], start=1):
        bytes_kept += sum(file.stat().st_size for file in one.rglob("*") if file.is_file())
        if place > _FEWEST and bytes_kept > _MOST_BYTES:
            # Whoever has mapped it keeps its pages.
            shutil.rmtree(one, ignore_errors=True)


def _write(folder: Path, name: str, samples: Sequence[Shared]) -> None:
    draft = Path(tempfile.mkdtemp(dir=folder))
    try:
        about = [_write_one(draft / str(place), one) for place, one in enumerate(samples)]
        (draft / _ABOUT).write_bytes(orjson.dumps(about))
        draft.rename(folder / name)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _write_one(folder: Path, one: Shared) -> dict[str, Any]:
    folder.mkdir()
    sample = one.sample
    benchmark = sample.benchmark
    assert benchmark is not None  # noqa: S101 - a shared sample has one
    arrays = {
        "sessions": sample.sessions,
        "returns": sample.returns,
        "scenarios": sample.scenarios.returns,
        "volatility_now": sample.volatility_now,
        "benchmark": benchmark.returns,
        "benchmark_known": benchmark.known,
    }
    if sample.ranges is not None:
        arrays["ranges"] = sample.ranges
    for place, episode in enumerate(one.episodes or ()):
        arrays |= {
            f"episode_{place}_{name}": value for name, value in vars(episode).items() if isinstance(value, np.ndarray)
        }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return {
        "instruments": [[each, version] for each, version in one.versions.items()],
        "tickers": sample.tickers,
        "window": sample.window,
        "benchmark": benchmark.ticker,
        "fallback": sample.scenarios.fallback,
        "outcomes": [
            [[aligned.observations, aligned.last_price_date] for aligned in outcomes]
            for outcomes in (sample.instruments, sample.scenario_instruments)
        ],
        "episodes": None if one.episodes is None else [episode.benchmark_total for episode in one.episodes],
    }


def _read(folder: Path) -> list[Shared]:
    about = orjson.loads((folder / _ABOUT).read_bytes())
    return [_read_one(folder / str(place), one) for place, one in enumerate(about)]


def _read_one(folder: Path, about: dict[str, Any]) -> Shared:
    arrays = {path.stem: _mapped(path) for path in folder.iterdir()}
    tickers = tuple(about["tickers"])
    window, scenarios = (
        tuple(_whole(ticker, *one) for ticker, one in zip(tickers, outcomes, strict=True))
        for outcomes in about["outcomes"]
    )
    sample = Sample(
        tickers,
        arrays["sessions"],
        arrays["returns"],
        window,
        about["window"],
        AlignedBenchmark(about["benchmark"], arrays["benchmark"], arrays["benchmark_known"]),
        None,
        Scenarios(arrays["scenarios"], arrays["volatility_now"], about["fallback"]),
        scenarios,
        arrays.get("ranges"),
    )
    episodes = None
    if about["episodes"] is not None:
        episodes = tuple(
            EpisodeReturns(
                episode,
                sessions=arrays[f"episode_{place}_sessions"],
                known=arrays[f"episode_{place}_known"],
                total=arrays[f"episode_{place}_total"],
                daily=arrays[f"episode_{place}_daily"],
                benchmark_total=total,
                benchmark_daily=arrays.get(f"episode_{place}_benchmark_daily"),
            )
            for place, (episode, total) in enumerate(zip(EPISODES, about["episodes"], strict=True))
        )
    return Shared(sample, {each: tuple(version) for each, version in about["instruments"]}, episodes)


def _mapped(path: Path) -> npt.NDArray[Any]:
    """Return an array that lies in a file, and in memory once for all processes."""
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _whole(ticker: str, observations: int, last: str) -> AlignedInstrument:
    return AlignedInstrument(ticker, Status.MODELLED, None, observations, 0, date.fromisoformat(last))
