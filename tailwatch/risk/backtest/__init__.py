"""Backtests: rolling one-day-ahead forecasts of any method, and what says whether they were good."""

from tailwatch.risk.backtest.filtered import variance_path
from tailwatch.risk.backtest.rolling import EARLIEST_START, Forecasts, Progress, forecasts
from tailwatch.risk.backtest.summary import (
    AverageScores,
    LevelScores,
    average,
    level_name,
    score,
    score_level,
    to_json_dict,
)

__all__ = [
    "EARLIEST_START",
    "AverageScores",
    "Forecasts",
    "LevelScores",
    "Progress",
    "average",
    "forecasts",
    "level_name",
    "score",
    "score_level",
    "to_json_dict",
    "variance_path",
]
