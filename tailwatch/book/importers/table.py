"""A CSV file as rows of cells, each with its line in the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tailwatch.errors import InputFileError

_DELIMITERS: Final = (",", ";", "\t", "|")
_UNCLOSED: Final = "a quote is opened and never closed"
#: Lines that a delimiter is looked for in.
_SAMPLE_LINES: Final = 30


@dataclass(frozen=True)
class Table:
    """Rows of a file.

    Attributes:
        delimiter: Between its cells.
        lines: (line of the file from 1, cells), blank rows left out.
    """

    delimiter: str
    lines: Sequence[tuple[int, list[str]]]

    @property
    def header(self) -> list[str]:
        """The first row."""
        return [cell.strip() for cell in self.lines[0][1]] if self.lines else []

    def cells(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the cells of some columns, row by row; columns that are not there are passed over."""
        header = self.header
        places = [header.index(name) for name in names if name in header]
        for _, cells in self.lines[1:]:
            for place in places:
                if place < len(cells):
                    yield cells[place]

    def records(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """Yield each row below the first, its cells by the first row's names."""
        header = self.header
        for line, cells in self.lines[1:]:
            yield line, dict(zip(header, cells, strict=False))


def read_table(text: str) -> Table:
    """Return the rows of a CSV file, whatever stands between its cells.

    Raises:
        InputFileError: a quote is never closed, or a cell is absurdly long.
    """
    if "\n" not in text:
        # As old Macs and some scripts end their lines.
        text = text.replace("\r", "\n")
    delimiter = _delimiter(text)
    try:
        lines = _lines(text, delimiter, strict=True)
    except InputFileError as error:
        if _UNCLOSED in str(error):
            raise
        # A quote amid a cell, as in 27" screen, is no reason to refuse a file.
        lines = _lines(text, delimiter, strict=False)
    if lines and lines[0][1][0].lower().startswith("sep"):
        # Tells Excel what stands between cells; written sep=; it is one cell or two.
        first = delimiter.join(lines[0][1]).lower()
        lines = lines[1:] if first.startswith("sep=") else lines
    return Table(delimiter, lines)


def _lines(text: str, delimiter: str, *, strict: bool) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    lines = []
    before = 0
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                lines.append((before + 1, cells))
            before = reader.line_num
    except csv.Error as error:
        reason = _UNCLOSED if "unexpected end of data" in str(error) else str(error)
        raise InputFileError(f"Line {before + 1} cannot be read as CSV: {reason}.") from error
    return lines


def _delimiter(text: str) -> str:
    """Return what parts the first lines into the most cells, alike on each."""
    sample = [line for line in text[:20_000].splitlines() if line.strip()][:_SAMPLE_LINES]
    if sample and sample[0].lower().startswith("sep="):
        return sample[0][4:5] or ","

    def cells(delimiter: str) -> int:
        counts = [len(row) for row in csv.reader(sample, delimiter=delimiter)]
        return min(counts[0], max(counts)) if counts else 0

    return max(_DELIMITERS, key=cells)
