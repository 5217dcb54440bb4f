"""Tailwatch's own JSON export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tailwatch.book.importers import generic
from tailwatch.book.importers.reading import Cells, Format, Source
from tailwatch.book.importers.rows import Draft

#: What such a file says it is.
KIND: Final = "tailwatch-book"
VERSION: Final = 1


def _recognises(source: Source) -> bool:
    content = source.content
    return isinstance(content, dict) and content.get("kind") == KIND and isinstance(content.get("entries"), list)


def _drafts(source: Source) -> Iterator[Draft]:
    column = {name: name for name in generic.COLUMNS}
    for place, entry in enumerate(source.content["entries"], start=1):
        if not isinstance(entry, dict):
            yield Draft(place, errors=["This is no entry."])
            continue
        record: Mapping[str, str] = {
            name: "" if value is None else str(value) for name, value in entry.items() if name in column
        }
        yield generic.draft(place, record, column, Cells())


FORMAT: Final = Format("tailwatch_json", "Tailwatch (JSON)", _recognises, _drafts)
