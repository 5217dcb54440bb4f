"""Files of portfolio weights."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tailwatch.cli.price_files import Prices
from tailwatch.cli.tables import MISSING, NAMED, Table, number, read_table, some

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Portfolios:
    """Portfolios of the columns of a price file.

    Attributes:
        names: (K,) unique.
        weights: (K, N) signed.
        left_out: Why a portfolio of the file is not among `names`, by name.
    """

    names: tuple[str, ...]
    weights: NDArray[np.float64]
    left_out: dict[str, str]


def read_weights(path: Path, prices: Prices) -> Portfolios:
    """Read portfolios, one a row: a header with names of the price file, optionally a first column of names.

    An empty cell is zero and so is a name that the header does not have.

    Raises:
        InputFileError: what is wrong, where, and what to do about it.
    """
    table = read_table(path)
    known = {*prices.names, *prices.left_out}
    columns, values, labels = table.names, table.values, table.labels
    if table.label_name in known:
        first = [number(cell or "0", decimal_comma=table.decimal_comma) for cell in labels]
        for cell, value, line in zip(labels, first, table.lines, strict=True):
            if math.isnan(value) and cell.lower() not in MISSING:
                raise table.error(f"“{cell}” in column {table.label_name} is not a number.", line)
        columns, values = (table.label_name, *columns), np.column_stack([first, values])
        labels = [str(row) for row in range(1, len(labels) + 1)]
    elif _holds_weights(table, known):
        columns = (table.label_name, *columns)
    _check_weight_names(table, columns, known)
    values = np.nan_to_num(values, nan=0.0)
    _check_portfolios(table, labels, values)
    gone = [column for column, name in enumerate(columns) if name in prices.left_out]
    left_out = {
        label: f"It holds {columns[column]}, which is left out of the prices."
        for label, row in zip(labels, values, strict=True)
        for column in gone
        if row[column]
    }
    kept = [row for row, label in enumerate(labels) if label not in left_out]
    if not kept:
        raise table.error("every portfolio holds a name that is left out of the prices.")
    weights = np.zeros((len(kept), len(prices.names)))
    index = {name: column for column, name in enumerate(prices.names)}
    for column, name in enumerate(columns):
        if name in index:
            weights[:, index[name]] = values[kept, column]
    return Portfolios(tuple(labels[row] for row in kept), weights, left_out)


def _check_weight_names(table: Table, columns: Sequence[str], known: set[str]) -> None:
    unknown = [name for name in columns if name not in known]
    if not unknown:
        return
    if not any(name in known for name in columns) and known.issuperset(table.labels):
        raise table.error(
            "it lies on its side: each row has to be a portfolio, and each column a name of the price file."
        )
    guesses = []
    for name in unknown[:NAMED]:
        close = difflib.get_close_matches(name, sorted(known), n=1)
        guesses.append(f"{name} (meant is perhaps {close[0]})" if close else name)
    raise table.error(
        f"the price file has no column {some(guesses, len(unknown))}. The header of the weights has to consist of "
        "its names; only a first column may hold names of portfolios."
    )


def _check_portfolios(table: Table, labels: Sequence[str], values: NDArray[np.float64]) -> None:
    lines: dict[str, int] = {}
    for label, row, line in zip(labels, values, table.lines, strict=True):
        if not label:
            raise table.error("the portfolio has no name in the first column.", line)
        if label in lines:
            raise table.error(
                f"the portfolio {label} is on line {lines[label]}, too; every name may occur once.", line
            )
        lines[label] = line
        if not row.any():
            raise table.error(f"the portfolio {label} holds nothing: all its weights are zero or empty.", line)


def _holds_weights(table: Table, known: set[str]) -> bool:
    """Say whether a first column under a strange name holds weights of a misspelt one, and no names of portfolios."""
    sizes = [number(label, decimal_comma=table.decimal_comma) for label in table.labels]
    if not table.label_name or any(math.isnan(size) for size in sizes):
        return False
    misspelt = difflib.get_close_matches(table.label_name, sorted(known), n=1)
    return bool(misspelt) or not all(size.is_integer() for size in sizes)
