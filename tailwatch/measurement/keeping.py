"""Caches of arrays that are bounded by what they weigh: portfolios of twenty names and of five thousand differ."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(LRUCache[K, V]):
    """What was used last, up to some weight."""

    def __init__(self, most_bytes: int, weight: Callable[[Any], int]) -> None:
        """Make an empty one.

        Args:
            most_bytes: All of it together.
            weight: Bytes of one value.
        """
        super().__init__(most_bytes, getsizeof=weight)

    def keep(self, key: K, value: V) -> V:
        """Return the value, and keep it unless it alone is more than the cache may hold."""
        if self.getsizeof(value) <= self.maxsize:
            self[key] = value
        return value
