"""What the health check and the watchdog of the scheduler look at."""

from __future__ import annotations

from pathlib import Path

from scheduler.pulse import STUCK_SECONDS, Pulse


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_part_that_stops_going_round_is_stuck_and_the_other_is_not() -> None:
    clock = Clock()
    pulse = Pulse(None, clock)
    clock.now += STUCK_SECONDS
    assert pulse.stuck() == []
    pulse.beat("dispatcher")
    clock.now += 1
    assert pulse.stuck() == ["beat"]
    clock.now += STUCK_SECONDS
    assert pulse.stuck() == ["dispatcher", "beat"]
    pulse.beat("beat")
    assert pulse.stuck() == ["dispatcher"]


def test_each_round_touches_the_parts_file(tmp_path: Path) -> None:
    folder = tmp_path / "health"
    pulse = Pulse(folder)
    assert list(folder.iterdir()) == []
    pulse.beat("beat")
    assert [file.name for file in folder.iterdir()] == ["beat"]
