"""`tailwatch label`: what an instrument's risk is added up under."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from tailwatch.cli.context import DataDir, database
from tailwatch.embedded.environment import SetupError

#: Longer ones would not fit where the page shows them.
LONGEST: Final = 60


def label(
    ticker: Annotated[str, typer.Argument(help="Of an instrument that a portfolio holds.")],
    labels: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KIND=LABEL…]", help="sector=Energy, asset_class=ETF; sector= takes it away."),
    ] = None,
    *,
    data_dir: DataDir = None,
) -> None:
    """Label an instrument, so that risk is added up by sector and asset class. Without labels: show those it has.

    Portfolios that hold it are computed anew. What a price source says later does not replace a label.
    """
    changes = dict(map(parse, labels or []))
    with database(data_dir, migrated=True):
        from tailwatch import refresh
        from tailwatch.db.session import transaction
        from tailwatch.market.instruments import set_labels

        with transaction() as session:
            instrument = set_labels(session, ticker, changes)
            if instrument is None:
                raise SetupError(f"There is no instrument {ticker.strip().upper()}: no portfolio has held it yet.")
            if changes:
                refresh.raise_market_revision(session, [instrument.id])
            known = ", ".join(f"{kind}={name}" for kind, name in sorted(instrument.labels.items()))
            typer.echo(f"{instrument.ticker}: {known or 'no label'}")


def parse(word: str) -> tuple[str, str]:
    """Return kind and label of "sector=Energy".

    Raises:
        SetupError: it is no such pair; the message says what is.
    """
    from tailwatch.market.instruments import LABEL_KINDS

    kind, equals, name = (part.strip() for part in word.partition("="))
    if not equals or kind not in LABEL_KINDS:
        raise SetupError(f"{word!r} is no label: write {' or '.join(f'{each}=…' for each in LABEL_KINDS)}.")
    if len(name) > LONGEST or not name.isprintable():
        raise SetupError(f"A label is one line of at most {LONGEST} characters: {kind}=…")
    return kind, name
