"""Takes what a process counted to Valkey, and finds there what the others counted.

Each process writes all of its series under one key that expires: those of a process that is gone vanish by
themselves. Whoever takes a process's place (Celery replaces its children, a supervisor restarts a worker) goes on
from its last figures, so that what it counted in its last seconds is not lost before anybody looked.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

import orjson
import redis
import structlog
from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from redis.backoff import NoBackoff
from redis.retry import Retry

from tailwatch import __version__
from tailwatch.settings import get_settings

PREFIX: Final = "tailwatch:metrics:"
#: Missed times after which a process counts as gone.
MISSED: Final = 3
#: When a family was begun is of no use where processes come and go.
_CREATED: Final = "_created"

log = structlog.get_logger(__name__)

#: (name of the sample, its labels) → value.
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Pusher:
    """The thread that publishes."""

    def __init__(self, registry: CollectorRegistry, service: str, instance: str, seconds: float) -> None:
        """Prepare to publish `registry` every `seconds`."""
        self._registry = registry
        self._process = ProcessCollector(registry=None)
        self._service, self._instance, self._seconds = service, instance, seconds
        self._key = f"{PREFIX}{service}:{instance}"
        #: Read before the first writing.
        self._inherited: Values | None = None
        self._failing = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        # Nothing waits for it, and nobody else uses it.
        self._client = redis.Redis.from_url(
            get_settings().redis_url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0)
        )

    def start(self) -> None:
        """Publish from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Publish once more and end."""
        self._stop.set()
        # Two time-outs of a Valkey that hangs.
        self._thread.join(timeout=1.5)

    def _run(self) -> None:
        self._push()
        while not self._stop.wait(self._seconds):
            self._push()
        self._push()

    def _push(self) -> None:
        try:
            if self._inherited is None:
                self._inherited = self._predecessors()
            written = orjson.dumps(
                {
                    "service": self._service,
                    "instance": self._instance,
                    "version": __version__,
                    "families": list(self._families(self._inherited)),
                }
            )
            self._client.set(self._key, written, px=int(1000 * MISSED * self._seconds))
        except redis.RedisError as error:
            # Once per outage: dispatcher and tasks complain about it already.
            if not self._failing:
                log.warning("metrics not published; trying again", error=str(error), seconds=self._seconds)
            self._failing = True
        else:
            self._failing = False

    def _predecessors(self) -> Values:
        written = self._client.get(self._key)
        found = orjson.loads(written) if isinstance(written, bytes) else {}
        # Another version may have other buckets.
        if found.get("version") != __version__:
            return {}
        return {
            (name, tuple(sorted(labels.items()))): value
            for family in found["families"]
            if family["name"].startswith("tailwatch_")
            for name, labels, value in family["samples"]
        }

    def _families(self, inherited: Values) -> Iterator[dict[str, Any]]:
        for family in self._registry.collect():
            values = {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for sample in family.samples
                if not sample.name.endswith(_CREATED)
            }
            names = _names(family)
            for key, value in inherited.items():
                if key[0] in names:
                    # A gauge that was set since counts; everything else adds up.
                    values[key] = values.get(key, value) if family.type == "gauge" else values.get(key, 0.0) + value
            yield _encoded(family, [[name, dict(labels), value] for (name, labels), value in values.items()])
        for family in self._process.collect():
            yield _encoded(family, [[sample.name, sample.labels, sample.value] for sample in family.samples])


def _names(family: Metric) -> set[str]:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
    return {family.name + suffix for suffix in suffixes}


def _encoded(family: Metric, samples: list[list[Any]]) -> dict[str, Any]:
    return {"name": family.name, "type": family.type, "help": family.documentation, "samples": samples}


def published(client: redis.Redis) -> Iterable[Metric]:
    """Return what all processes published, each sample labelled with `service` and `instance`.

    Raises:
        redis.RedisError: Valkey does not answer.
    """
    keys = sorted(client.scan_iter(match=f"{PREFIX}*", count=1000))
    families: dict[str, Metric] = {}
    for written in cast("list[bytes | None]", client.mget(keys) if keys else []):
        # None: it expired between the two questions.
        process = orjson.loads(written) if written is not None else {"families": []}
        for family in process["families"]:
            found = families.setdefault(family["name"], Metric(family["name"], family["help"], family["type"]))
            for name, labels, value in family["samples"]:
                found.add_sample(
                    name, labels | {"service": process["service"], "instance": process["instance"]}, value
                )
    return families.values()
