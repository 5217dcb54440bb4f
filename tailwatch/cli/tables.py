"""Tables of numbers in text files as people have them: any separator, decimal commas, byte order marks, gzip.

Every error says where: a line is counted as an editor counts it, from 1, the header included.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tailwatch.errors import InputFileError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: What stands for a value that is not there, besides an empty cell; compared in lower case.
MISSING: Final = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "."})
#: What is wrong with a file that begins with its data.
NO_HEADER: Final = "it holds numbers where the names of the columns should be, such as date,AAA,BBB."
#: Cells that an error names before it says how many more there are.
NAMED: Final = 5

_SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MARKS: Final = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
#: A first cell that is a number or a date.
_STARTS_AS_DATA: Final = re.compile(r"\d")
#: Lines at the top of a file that show how its numbers are written.
_SHOWN_LINES: Final = 100


@dataclass(frozen=True, eq=False)
class Table:
    """A file of one column of labels and columns of numbers.

    Attributes:
        path: The file.
        label_name: Name over the labels; may be empty.
        names: (C,) names of the columns of numbers; unique.
        labels: (R,) first cell of each row, stripped.
        values: (R, C) numbers; NaN where a value is missing.
        lines: (R,) line of each row in the file.
        decimal_comma: Whether numbers are written with a comma for the point.
    """

    path: Path
    label_name: str
    names: tuple[str, ...]
    labels: list[str]
    values: NDArray[np.float64]
    lines: list[int]
    decimal_comma: bool

    def error(self, message: str, line: int | None = None) -> InputFileError:
        """Return the error that names the file and, where one is to blame, the line."""
        return _error(self.path, message, line)


def read_table(path: Path) -> Table:
    """Read a text file with a header, a column of labels and at least one of numbers.

    Comma, semicolon, tab or bar separate; behind the others a comma may stand for the decimal point. Gzip, UTF-8 with
    or without byte order mark, UTF-16 with one, Windows-1252 and all kinds of line ends are understood. Lines without
    content are skipped, and so are unnamed empty columns at the end.

    Raises:
        InputFileError: it is no such file; cells that are no numbers are named.
    """
    import numpy as np

    text = _text(path)
    separator = _separator(path, text)
    rows = _rows(path, text, separator)
    _, header = next(rows)
    names = _names(path, header)
    cells = _Cells(path, names[1:], _decimal_comma(_rows(path, text, separator)) if separator != "," else False)
    labels, lines, values = [], [], array("d")
    for line, row in rows:
        if len(row) < len(names) or any(row[len(names) :]):
            message = f"there are {len(row)} cells and the header names {len(names)} columns"
            raise _error(path, f"{message}; a {_SEPARATORS[separator]} separates them.", line)
        labels.append(row[0])
        lines.append(line)
        values.extend(cells.numbers(row[1 : len(names)], line))
    cells.check()
    if not labels:
        raise _error(path, "there is a header and nothing below it.")
    matrix = np.frombuffer(values).reshape(len(labels), len(names) - 1)
    return Table(path, names[0], names[1:], labels, matrix, lines, cells.decimal_comma)


def number(cell: str, *, decimal_comma: bool = False) -> float:
    """Return the number that a cell holds; NaN where it holds none."""
    if decimal_comma:
        # A point in such a file would group thousands, or be a slip: it is not guessed at.
        cell = cell.replace(".", "?").replace(",", ".")
    value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
    return value if math.isfinite(value) else math.nan


@dataclass
class _Cells:
    """Turns cells into numbers and remembers those that are none."""

    path: Path
    names: tuple[str, ...]
    decimal_comma: bool
    wrong: list[str] = field(default_factory=list)
    wrong_count: int = 0

    def numbers(self, cells: list[str], line: int) -> list[float]:
        """Return the numbers of one row; NaN for what is missing or wrong."""
        if not self.decimal_comma:
            try:
                values = [float(cell) for cell in cells]
            except ValueError:
                values = [math.nan]
            # Python reads "inf", "nan" and "1_000" as numbers, too.
            if math.isfinite(math.fsum(values)) and not any("_" in cell for cell in cells):
                return values
        values = [number(cell, decimal_comma=self.decimal_comma) for cell in cells]
        for name, cell, value in zip(self.names, cells, values, strict=True):
            if not math.isfinite(value) and cell.lower() not in MISSING:
                self.wrong_count += 1
                if self.wrong_count <= NAMED:
                    self.wrong.append(f"line {line}, column {name}: “{cell[:40]}” is not a number")
        return values

    def check(self) -> None:
        """Raise an error if any cell was wrong."""
        if self.wrong:
            written = "1234,56" if self.decimal_comma else "1234.56"
            raise _error(
                self.path,
                f"{some(self.wrong, self.wrong_count)}. Write numbers like {written}, and leave a cell empty where "
                "there is no value.",
            )


def some(named: list[str], count: int) -> str:
    """Return what is named and how many more there are."""
    return "; ".join(named) + (f"; and {count - len(named)} more" if count > len(named) else "")


def _error(path: Path, message: str, line: int | None = None) -> InputFileError:
    where = str(path) if line is None else f"{path}, line {line}"
    return InputFileError(f"{where}: {message}")


def _rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the stripped cells of each row that has any content."""
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=separator, skipinitialspace=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise _error(path, f"{error}.", reader.line_num) from error


def _names(path: Path, header: list[str]) -> tuple[str, ...]:
    """Return the names of the columns, the one of the labels first."""
    while len(header) > 1 and not header[-1]:
        header = header[:-1]
    # Tickers can be whole numbers, as in Tokyo and Shanghai; rows of prices are made of more than digits.
    numbers = _STARTS_AS_DATA.match(header[0]) and all(math.isfinite(number(name)) for name in header[1:])
    if numbers and not all(name.isdigit() for name in header):
        raise _error(path, NO_HEADER, 1)
    seen: dict[str, int] = {}
    for column, name in enumerate(header, start=1):
        if not name and column > 1:
            raise _error(path, f"column {column} has no name in the header.")
        if name in seen:
            raise _error(path, f"the name {name} stands over two columns, {seen[name]} and {column}.")
        seen[name] = column
    return tuple(header)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise InputFileError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise InputFileError(f"{path} is a folder; name a file.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputFileError(f"{path}: the compressed file is damaged ({error}).") from error
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror}.") from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    if content.startswith(b"PK") or (encoding != "utf-16" and b"\0" in content):
        raise InputFileError(f"{path} is not a text file. A spreadsheet has to be saved as CSV first.")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _separator(path: Path, text: str) -> str:
    """Return the separator that occurs most in the header, quoted parts aside."""
    header = next((line for line in io.StringIO(text, newline=None) if line.strip()), None)
    if header is None:
        raise _error(path, "the file is empty.")
    bare = re.sub(r'"[^"]*"', "", header)
    separator = max(_SEPARATORS, key=bare.count)
    if separator not in bare:
        raise _error(
            path,
            f"there is one column only; the first line reads “{header.strip()[:60]}”. Needed are a column of labels "
            "(dates or row numbers of prices, names of portfolios) and at least one of numbers, separated by commas, "
            "semicolons or tabs.",
        )
    return separator


def _decimal_comma(rows: Iterator[tuple[int, list[str]]]) -> bool:
    """Say whether the first rows below the header write numbers with a comma, and none with a point."""
    next(rows)
    shown = [row for _, (_, row) in zip(range(_SHOWN_LINES), rows, strict=False)]
    with_comma = any(_DECIMAL_COMMA.fullmatch(cell) for row in shown for cell in row)
    with_point = any("." in cell and math.isfinite(number(cell)) for row in shown for cell in row[1:])
    return with_comma and not with_point
