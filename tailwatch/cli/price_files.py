"""Files of adjusted closes, checked and made fit for a backtest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tailwatch.cli.tables import NAMED, NO_HEADER, Table, read_table, some
from tailwatch.errors import InputFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Sessions over which the last price stands in for a missing one.
CARRY_LIMIT: Final = 5
#: A price ratio from one row to the next beyond this, or below its reciprocal, is an error in the file.
LARGEST_RATIO: Final = 1e6
#: Beyond this ratio it is worth a remark: splits that the prices were not adjusted for look like that.
SUSPICIOUS_RATIO: Final = 3.0

_ISO: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?")
_COMPACT: Final = re.compile(r"(19|20)(\d{2})(\d{2})(\d{2})")
_DAY_AND_MONTH: Final = re.compile(r"(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4})(?:[T ].*)?")


@dataclass(frozen=True, eq=False)
class Prices:
    """Adjusted closes without gaps, oldest first.

    Attributes:
        path: The file.
        names: (N,) the columns.
        labels: (T,) date (ISO) or row number of each row.
        dated: Whether the labels are dates.
        closes: (T, N) positive.
        carried: Prices that were missing and stand in from the row before, by name.
        left_out: Why a column is not among `names`, by name.
        remarks: What a reader should know, one sentence each.
    """

    path: Path
    names: tuple[str, ...]
    labels: tuple[str, ...]
    dated: bool
    closes: NDArray[np.float64]
    carried: dict[str, int]
    left_out: dict[str, str]
    remarks: tuple[str, ...]

    @property
    def returns(self) -> NDArray[np.float64]:
        """(T−1, N) simple returns; row t is from price row t to price row t+1."""
        changes: NDArray[np.float64] = self.closes[1:] / self.closes[:-1] - 1
        return changes

    def row(self, wanted: str) -> int:
        """Return the row that a person means: the first one on or after a date or row number.

        In a file of dates a number is a row counted from 0, the first one below the header.

        Raises:
            InputFileError: it is neither, or lies outside the file.
        """
        kind = "a date such as 2005-01-03, or a row counted from 0" if self.dated else "one of its row numbers"
        day = _as_date(wanted) if self.dated else None
        if self.dated and day is not None:
            rows = [row for row, label in enumerate(self.labels) if label >= day.isoformat()]
        elif not re.fullmatch(r"[+-]?\d+", wanted):
            raise InputFileError(f"“{wanted}” is no row of {self.path}: give {kind}.")
        elif self.dated:
            rows = [int(wanted)] if 0 <= int(wanted) < len(self.labels) else []
        else:
            rows = [row for row, label in enumerate(self.labels) if int(label) >= int(wanted)]
            rows = rows if int(wanted) >= int(self.labels[0]) else []
        if not rows:
            span = f"from {self.labels[0]} to {self.labels[-1]}"
            counted = f" (rows 0 to {len(self.labels) - 1})" if self.dated else ""
            raise InputFileError(f"{wanted} lies outside {self.path}, which goes {span}{counted}: give {kind}.")
        return rows[0]


def read_prices(path: Path, *, skip_gaps: bool = False) -> Prices:
    """Read adjusted closes: dates or row numbers in the first column, one column a name.

    A missing price is carried from the row before over at most 5 rows. Rows without any price are dropped, and so are
    up to 5 rows at the top where some name has not begun. A file with the newest row first is turned round.

    Args:
        path: A text file, may be compressed with gzip.
        skip_gaps: Leave names with longer gaps out instead of refusing the file.

    Raises:
        InputFileError: what is wrong, where, and what to do about it.
    """
    table = read_table(path)
    if table.label_name.isdigit():
        raise table.error(NO_HEADER, 1)
    remarks: list[str] = []
    labels, dated = _labels(table)
    order = _order(table, labels, remarks)
    table = replace(
        table,
        labels=[str(labels[row]) for row in order],
        lines=[table.lines[row] for row in order],
        values=table.values[order],
    )
    _check_positive(table)
    table = _without_empty_rows(table, remarks)
    filled, carried, gaps = _carry(table)
    if gaps and not skip_gaps:
        raise table.error(
            f"{some(list(gaps.values())[:NAMED], len(gaps))}. At most {CARRY_LIMIT} missing prices in a row are "
            "carried forward. Fill the gaps, cut the file to the time that all have in common, or leave these "
            "columns out with --skip-gaps."
        )
    kept = [column for column, name in enumerate(table.names) if name not in gaps]
    if not kept:
        raise table.error("every column has a gap that is too long to be carried.")
    closes = np.ascontiguousarray(filled[:, kept])
    names = tuple(table.names[column] for column in kept)
    if any(carried.values()):
        total, worst = sum(carried.values()), max(carried, key=lambda name: carried[name])
        remarks.append(f"{total} missing prices were carried forward, most of them ({carried[worst]}) in {worst}.")
    prices = Prices(path, names, tuple(table.labels), dated, closes, carried, gaps, ())
    _check_ratios(table, prices, remarks)
    return replace(prices, remarks=tuple(remarks))


def _labels(table: Table) -> tuple[list[date] | list[int], bool]:
    """Return the first column as dates, or as row numbers, and whether it is dates."""
    for label, line in zip(table.labels, table.lines, strict=True):
        if not label:
            raise table.error("the first column is empty; it has to hold the date or number of the row.", line)
    day_first = _day_first(table)
    dates = [_as_date(label, day_first=day_first) for label in table.labels]
    days = [day for day in dates if day is not None]
    if len(days) == len(dates):
        return days, True
    wholes = [int(float(label)) if re.fullmatch(r"[+-]?\d+(\.0+)?", label) else None for label in table.labels]
    numbers = [whole for whole in wholes if whole is not None]
    if len(numbers) == len(wholes):
        return numbers, False
    found: Sequence[object] = dates if len(days) >= len(numbers) else wholes
    wrong = next(row for row, value in enumerate(found) if value is None)
    raise table.error(
        f"“{table.labels[wrong][:40]}” is neither a date such as 2005-01-31 nor a row number; the first column has "
        "to hold one or the other, in all rows alike.",
        table.lines[wrong],
    )


def _day_first(table: Table) -> bool | None:
    """Return which part of dates such as 31/01/2005 is the day; None where no label is such a date.

    Raises:
        InputFileError: the dates could be read both ways.
    """
    parts = [match for match in map(_DAY_AND_MONTH.fullmatch, table.labels) if match]
    if not parts:
        return None
    if any(int(match[1]) > 12 for match in parts) or all(match[2] == "." for match in parts):
        return True
    if any(int(match[3]) > 12 for match in parts):
        return False
    raise table.error(f"dates such as {table.labels[0]} can be read in two ways. Write them as 2005-01-31.")


def _as_date(label: str, *, day_first: bool | None = None) -> date | None:
    """Return the day that a label means, or None."""
    if match := _ISO.fullmatch(label):
        year, month, day = match.groups()
    elif match := _COMPACT.fullmatch(label):
        year, month, day = match[1] + match[2], match[3], match[4]
    elif day_first is not None and (match := _DAY_AND_MONTH.fullmatch(label)):
        day, month, year = (match[1], match[3], match[4]) if day_first else (match[3], match[1], match[4])
    else:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _order(table: Table, labels: Sequence[date] | Sequence[int], remarks: list[str]) -> NDArray[np.intp]:
    """Return the rows, oldest first."""
    keys = np.array([label.toordinal() if isinstance(label, date) else label for label in labels], dtype=np.int64)
    steps = np.diff(keys)
    rows = np.arange(len(keys))
    if keys.size > 1 and (steps < 0).all():
        remarks.append("The newest row comes first; the file was read from the bottom.")
        return rows[::-1]
    sorted_rows = np.argsort(keys, kind="stable")
    twice = np.flatnonzero(np.diff(keys[sorted_rows]) == 0)
    if twice.size:
        first, second = sorted_rows[twice[0]], sorted_rows[twice[0] + 1]
        more = f" {twice.size - 1} more rows repeat one." if twice.size > 1 else ""
        raise table.error(
            f"{table.labels[second]} was there before, on line {table.lines[first]}.{more} Every day may occur once.",
            table.lines[second],
        )
    falling = np.flatnonzero(steps < 0)
    if falling.size:
        row = int(falling[0]) + 1
        raise table.error(
            f"{table.labels[row]} comes after {table.labels[row - 1]}. Sort the file by its first column.",
            table.lines[row],
        )
    return rows


def _check_positive(table: Table) -> None:
    wrong = np.argwhere(table.values <= 0)
    if wrong.size:
        named = [
            f"line {table.lines[row]}, column {table.names[column]}: {table.values[row, column]:g}"
            for row, column in wrong[:NAMED].tolist()
        ]
        raise table.error(
            f"a price has to be positive: {some(named, len(wrong))}. Needed are adjusted closes, not returns; leave "
            "a cell empty where there is no price."
        )


def _without_empty_rows(table: Table, remarks: list[str]) -> Table:
    present = ~np.isnan(table.values)
    kept = np.asarray(present.any(axis=1))
    if not kept.any():
        raise table.error("there is no price in it.")
    if not kept.all():
        remarks.append(f"{np.count_nonzero(~kept)} rows without any price were left out.")
    begun = np.asarray(np.logical_or.accumulate(present, axis=0).all(axis=1)) & kept
    first = int(begun.argmax())
    if begun.any() and 0 < np.count_nonzero(kept[:first]) <= CARRY_LIMIT:
        remarks.append(f"The first {np.count_nonzero(kept[:first])} rows were left out: not every name has begun.")
        kept[:first] = False
    rows = np.flatnonzero(kept).tolist()
    return replace(
        table,
        labels=[table.labels[row] for row in rows],
        lines=[table.lines[row] for row in rows],
        values=table.values[rows],
    )


def _carry(table: Table) -> tuple[NDArray[np.float64], dict[str, int], dict[str, str]]:
    """Return prices carried forward, how many by name, and a sentence for each name that cannot be filled so."""
    missing = np.isnan(table.values)
    rows = np.arange(len(table.values))[:, None]
    last_known = np.maximum.accumulate(np.where(missing, -1, rows), axis=0)
    age = rows - last_known
    filled = np.take_along_axis(table.values, np.maximum(last_known, 0), axis=0)
    carried, gaps = {}, {}
    for column in np.flatnonzero(missing.any(axis=0)).tolist():
        name = table.names[column]
        begin = int((last_known[:, column] >= 0).argmax())
        if missing[:, column].all():
            gaps[name] = f"{name} has no price at all"
        elif begin:
            gaps[name] = f"{name} begins only on line {table.lines[begin]} ({table.labels[begin]})"
        elif age[:, column].max() > CARRY_LIMIT:
            end = int((age[:, column] > CARRY_LIMIT).argmax())
            start = int(last_known[end, column]) + 1
            known = np.flatnonzero(~missing[start:, column])
            length = int(known[0]) if known.size else len(rows) - start
            gaps[name] = (
                f"{name} has no price on {length} rows from line {table.lines[start]} ({table.labels[start]}) on"
            )
        else:
            carried[name] = int(missing[:, column].sum())
    return filled, carried, gaps


def _check_ratios(table: Table, prices: Prices, remarks: list[str]) -> None:
    ratios = prices.closes[1:] / prices.closes[:-1]
    size = np.maximum(ratios, 1 / ratios)
    if not size.size or size.max() <= SUSPICIOUS_RATIO:
        return
    row, column = (int(index) for index in np.unravel_index(size.argmax(), size.shape))
    before, after = prices.closes[row, column], prices.closes[row + 1, column]
    jump = f"{prices.names[column]} goes from {before:g} to {after:g}"
    if size.max() > LARGEST_RATIO:
        raise table.error(f"{jump}, which no price does in a day.", table.lines[row + 1])
    count = int(np.count_nonzero(size > SUSPICIOUS_RATIO))
    remarks.append(
        f"{count} {'price more than triples or falls' if count == 1 else 'prices more than triple or fall'} below a "
        f"third in a day; the largest: line {table.lines[row + 1]}, {jump}. Are the prices adjusted for splits?"
    )
