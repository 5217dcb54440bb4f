"""When a worker that does not answer its own probes ends itself."""

from __future__ import annotations

from worker.health import SILENT_SECONDS, Silence


def test_a_worker_that_answers_stays() -> None:
    silence = Silence(0)
    assert not any(silence.too_long(now, answered=now, broker_answers=True) for now in range(0, 2000, 10))


def test_a_worker_that_stops_answering_goes_after_a_while() -> None:
    silence = Silence(0)
    silence.too_long(10, answered=9, broker_answers=True)
    assert not silence.too_long(10 + SILENT_SECONDS, answered=9, broker_answers=True)
    assert silence.too_long(11 + SILENT_SECONDS, answered=9, broker_answers=True)


def test_one_that_never_answered_goes_too() -> None:
    assert Silence(0).too_long(1 + SILENT_SECONDS, answered=None, broker_answers=True)


def test_while_the_broker_is_away_nobody_is_blamed() -> None:
    silence = Silence(0)
    assert not any(silence.too_long(now, answered=None, broker_answers=False) for now in range(0, 5000, 10))
    # The patience begins when it is back.
    assert not silence.too_long(5000 + SILENT_SECONDS - 20, answered=None, broker_answers=True)
    assert silence.too_long(5000 + SILENT_SECONDS, answered=None, broker_answers=True)
