"""What brokers and trackers write that a table of columns does not tell: each was seen in files of that kind."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailwatch.book import importers
from tailwatch.book.entries import Entry
from tailwatch.book.export import csv_of
from tailwatch.book.importers import ColumnMapping, ImportedFile
from tailwatch.book.importers.rows import entries_of
from tailwatch.book.importers.values import moment
from tailwatch.errors import InputFileError

D = Decimal


def read(text: str | bytes, symbols: dict[str, str] | None = None) -> ImportedFile:
    content = text.encode() if isinstance(text, str) else text
    return importers.read(content, base_currency="USD", mapping=ColumnMapping(symbols=symbols or {}))


def booked(found: ImportedFile) -> list[Entry]:
    assert [row.errors for row in found.rows if row.errors] == []
    return entries_of(found.rows)


def ignored(found: ImportedFile) -> list[str]:
    return [row.ignored for row in found.rows if row.ignored is not None]


# --- any file ---


@pytest.mark.parametrize(
    ("written", "currency", "price"),
    [
        ("GBp", "GBP", "1.5"),
        ("GBX", "GBP", "1.5"),
        ("ZAc", "ZAR", "1.5"),
        ("GBP", "GBP", "150"),
        ("gbp", "GBP", "150"),
    ],
)
def test_pence_are_not_pounds(written: str, currency: str, price: str) -> None:
    [entry] = booked(read(f"date,symbol,quantity,price,currency,fee\n2024-01-02,VOD.L,10,150,{written},200\n"))
    assert (entry.currency, entry.price) == (currency, D(price))
    assert entry.fee == D(price) / 150 * 200


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("31-03-2026", datetime(2026, 3, 31, tzinfo=UTC)),
        ("02-03-2026", datetime(2026, 3, 2, tzinfo=UTC)),
        ("31.03.26", datetime(2026, 3, 31, tzinfo=UTC)),
        ("03/31/26", datetime(2026, 3, 31, tzinfo=UTC)),
        ("31-MAR-26;15:30:05", datetime(2026, 3, 31, 15, 30, 5, tzinfo=UTC)),
        ("20260331;15:30:05", datetime(2026, 3, 31, 15, 30, 5, tzinfo=UTC)),
        ("03/31/2026;153005", datetime(2026, 3, 31, 15, 30, 5, tzinfo=UTC)),
    ],
)
def test_more_ways_to_write_a_day(written: str, expected: datetime) -> None:
    assert moment(written) == expected


def test_a_date_that_can_be_read_in_two_ways_is_remarked() -> None:
    american = read("date,symbol,quantity,price\n03/04/2024,AAPL,1,2\n")
    assert [entry.executed_at.date().isoformat() for entry in booked(american)] == ["2024-03-04"]
    assert "read with the month first" in american.rows[0].remarks[0]
    continental = read("date;symbol;quantity;price\n03/04/2024;AAPL;1;2\n")
    assert [entry.executed_at.date().isoformat() for entry in booked(continental)] == ["2024-04-03"]
    settled = read("date,symbol,quantity,price\n03/04/2024,AAPL,1,2\n30/04/2024,AAPL,1,2\n")
    assert [entry.executed_at.date().isoformat() for entry in booked(settled)] == ["2024-04-03", "2024-04-30"]
    assert [row.remarks for row in settled.rows] == [(), ()]


def test_three_places_behind_a_comma_are_a_fraction_where_semicolons_part_cells() -> None:
    [entry] = booked(read("date;symbol;quantity;price\n2024-01-02;SAP.DE;1,234;100\n"))
    assert entry.quantity == D("1.234")
    [swiss] = booked(
        read("Datum;Typ;Wert;Buchungswährung;Stück;Ticker-Symbol\n2024-01-02;Kauf;1'265.90;CHF;2.345;UBSG.SW\n")
    )
    assert swiss.quantity == D("2.345")


@pytest.mark.parametrize(
    "text",
    ["sep=;\ndate;symbol;quantity;price\n2024-01-02;KO;1;2\n", "date,symbol,quantity,price\r2024-01-02,KO,1,2\r"],
)
def test_a_line_for_excel_and_lines_of_old_macs(text: str) -> None:
    assert [entry.ticker for entry in booked(read(text))] == ["KO"]


def test_a_sum_below_the_rows_is_passed_over() -> None:
    found = read("date,symbol,quantity,price\n2024-01-02,KO,1,2\n,Total,,2\n")
    assert (len(booked(found)), ignored(found)) == (1, ["It adds up other rows."])


def test_a_quote_that_is_never_closed_swallows_nothing_silently() -> None:
    header = "date,symbol,quantity,price,note\n"
    with pytest.raises(InputFileError, match="Line 2 cannot be read as CSV: a quote is opened and never closed"):
        read(f'{header}2024-01-02,KO,1,2,"oops\n2024-01-03,KO,1,2,fine\n')
    assert [entry.note for entry in booked(read(f'{header}2024-01-02,KO,1,2,a 27" screen\n'))] == ['a 27" screen']


def test_json_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(InputFileError, match="This JSON cannot be read"):
        read("[" * 100_000)


def test_a_mapping_to_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputFileError, match="The file has no column “When”"):
        importers.read(b"a,b\n1,2\n", base_currency="USD", mapping=ColumnMapping(columns={"date": "When"}))


def test_an_isin_as_symbol_asks_for_the_ticker() -> None:
    text = "date,symbol,quantity,price\n2024-01-02,US5949181045,1,2\n"
    assert "only an ISIN (US5949181045)" in read(text).rows[0].errors[0]
    assert [entry.ticker for entry in booked(read(text, {"US5949181045": "MSFT"}))] == ["MSFT"]


def test_an_export_holds_no_formula() -> None:
    entry = booked(read('date,symbol,quantity,price,note\n2024-01-02,KO,1,2,"=HYPERLINK(""x"")"\n'))[0]
    written = csv_of([entry], {})
    assert re.search(r'(^|[,"])[=+@]', written) is None
    assert booked(read(written)) == [entry]


# --- Ghostfolio ---


def test_ghostfolio_writes_the_day_first_and_drafts_without_a_quantity() -> None:
    found = read(
        "Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note\n"
        "01-09-2021,Account fee,MANUAL,USD,0,0,fee,49,\n"
        "02/09/2021,VOD.L,YAHOO,GBp,150,5,buy,19.00,\n"
        "20500606,MSFT,YAHOO,USD,0.00,0,buy,0.00,\n"
    )
    fee, buy = booked(found)
    assert (fee.amount, fee.ticker, fee.executed_at.date().isoformat()) == (D(49), None, "2021-09-01")
    assert (buy.price, buy.fee, buy.currency, buy.executed_at.date().isoformat()) == (
        D("1.5"),
        D("0.19"),
        "GBP",
        "2021-09-02",
    )
    assert ignored(found) == ["It has no quantity: a draft of an order."]


def test_ghostfolio_things_without_a_market_price_are_passed_over_unless_they_are_named() -> None:
    text = """{"activities": [{"type": "BUY", "quantity": 1, "unitPrice": 500000, "fee": 0, "currency": "USD",
      "dataSource": "MANUAL", "date": "2022-01-01T00:00:00.000Z", "symbol": "7e91b7d4-1430-4212-8380-289a06c9bbc1"}],
      "assetProfiles": [{"symbol": "7e91b7d4-1430-4212-8380-289a06c9bbc1", "name": "Garden"}]}"""
    assert ignored(read(text)) == ["“Garden” has no market price: Ghostfolio's owner typed its prices."]
    named = read(text, {"7e91b7d4-1430-4212-8380-289a06c9bbc1": "VNQ"})
    assert [entry.ticker for entry in booked(named)] == ["VNQ"]


# --- Wealthfolio ---


def test_wealthfolio_has_new_names_for_its_columns() -> None:
    found = read(
        "date,type,symbol,instrumentType,quantity,unit_price,currency,fee,amount,comment,fxRate,subtype\n"
        "2024-01-15,BUY,AAPL,EQUITY,10,185.50,USD,4.95,,first,,\n"
        "2024-02-01,DIVIDEND,AAPL,EQUITY,10,0.24,USD,,,,,DRIP\n"
        "2024-03-01,DEPOSIT,,,,,USD,,5000,,,\n"
        "2024-05-15,SPLIT,AAPL,EQUITY,3,,,,,,,\n"
        "2024-06-15,CREDIT,,,,,USD,,50.00,,,REBATE\n"
    )
    assert found.format.key == "wealthfolio"
    assert [(e.type.value, e.ticker, e.price, e.amount) for e in booked(found)] == [
        ("buy", "AAPL", D("185.5"), None),
        ("dividend", "AAPL", None, D("2.4")),
        ("deposit", None, None, D(5000)),
        ("fee", None, None, D(-50)),
    ]
    assert "reinvested" in found.rows[1].remarks[0]
    assert [row.split.ratio for row in found.rows if row.split] == [D(3)]


# --- Yahoo ---


def test_yahoo_currencies_are_those_of_the_exchange_and_cash_has_dates() -> None:
    header = (
        "Symbol,Current Price,Date,Time,Change,Open,High,Low,Volume,Trade Date,Purchase Price,Quantity,Commission,"
        "High Limit,Low Limit,Comment,Transaction Type\n"
    )
    rows = [("SAP.DE", 100, "BUY"), ("BTC-EUR", 100, "BUY"), ("BRK-B", 100, "BUY"), ("7203.T", 100, "SELL")]
    text = header + "".join(f"{name},,,,,,,,,20240102,{price},2,,,,,{kind}\n" for name, price, kind in rows)
    found = importers.read(
        f"{text}$$CASH_TX,,,,,,,,,20240103,,5000,,,,,DEPOSIT\n$$CASH_TX,,,,,,,,,20240104,,-20,,,,,WITHDRAWAL\n".encode(),
        base_currency="CHF",
    )
    assert [(e.type.value, e.ticker, e.currency, e.amount) for e in booked(found)] == [
        ("buy", "SAP.DE", "EUR", None),
        ("buy", "BTC-EUR", "EUR", None),
        ("buy", "BRK-B", "USD", None),
        ("sell", "7203.T", "JPY", None),
        ("deposit", None, "CHF", D(5000)),
        ("withdrawal", None, "CHF", D(20)),
    ]


# --- Interactive Brokers ---


def flex(trades: str, actions: str = "") -> ImportedFile:
    return read(
        f"<FlexQueryResponse><Trades>{trades}</Trades><CorporateActions>{actions}</CorporateActions></FlexQueryResponse>"
    )


def trade(side: str, quantity: int, identity: str, original: str = "", **more: str) -> str:
    members = {
        "accountId": "U1", "assetCategory": "STK", "symbol": "KO", "currency": "USD", "listingExchange": "NYSE",
        "tradePrice": "60", "tradeDate": "20240102", "dateTime": "20240102;100000", "levelOfDetail": "EXECUTION",
        "buySell": side, "quantity": str(quantity), "tradeID": identity, "origTradeID": original, **more,
    }  # fmt: skip
    written = " ".join(f'{name}="{value}"' for name, value in members.items())
    return f"<Trade {written}/>"


def test_a_cancelled_trade_is_not_booked_and_its_correction_is() -> None:
    found = flex(trade("BUY", 10, "7") + trade("BUY (Ca.)", -10, "", "7") + trade("BUY", 9, "7"))
    assert [entry.quantity for entry in booked(found)] == [D(9)]
    assert ignored(found) == ["It was cancelled.", "It was cancelled."]
    alone = flex(trade("BUY (Ca.)", -10, "", "7"))
    assert "not in this file" in ignored(alone)[0]


def test_flex_says_the_side_by_the_sign_and_the_day_of_trade_where_it_says_no_more() -> None:
    [entry] = booked(flex(trade("", -3, "8", dateTime="20240102;203000", tradeDate="20240103")))
    assert (entry.type.value, entry.quantity) == ("sell", D(-3))
    assert entry.executed_at == datetime(2024, 1, 3, tzinfo=UTC)


def test_flex_days_are_written_as_the_query_says() -> None:
    found = flex(
        trade("BUY", 1, "1", dateTime="", tradeDate="02/01/2024")
        + trade("BUY", 1, "2", dateTime="", tradeDate="31/01/2024")
    )
    assert [entry.executed_at.day for entry in booked(found)] == [2, 31]


def test_a_reverse_split_is_one_split_on_the_day_that_is_reported() -> None:
    half = (
        '<CorporateAction symbol="XYZ" currency="USD" description="XYZ CORP" reportDate="20240610"'
        ' dateTime="20240607;202500" actionDescription="XYZ(US0000000001) SPLIT 1 FOR 10 (XYZ, XYZ CORP)"'
        ' quantity="{}" amount="0" type="RS"/>'
    )
    found = flex("", half.format(-100) + half.format(10))
    [split] = [row.split for row in found.rows if row.split]
    assert (split.ticker, split.day.isoformat(), split.ratio) == ("XYZ", "2024-06-10", D("0.1"))
    assert ignored(found) == ["It is the other half of a split that is read already."]


def test_an_activity_statement_with_all_that_is_not_a_plain_order() -> None:
    found = read(
        "Trades,Header,DataDiscriminator,Asset Category,Currency,Account,Symbol,Date/Time,Quantity,T. Price,"
        "Comm/Fee,Code\n"
        'Trades,Data,Order,Stocks - Held with IB LLC,USD,U7,BRK B,"2024-01-02, 10:00:00","1,000",360,-1,O\n'
        'Trades,Data,Order,Stocks,USD,U7,KO,"2024-01-02, 10:00:00",5,60,-1,O\n'
        'Trades,Data,Order,Stocks,USD,U7,KO,"2024-01-02, 10:00:00",-5,60,1,Ca\n'
        'Trades,Data,Order,Stocks,USD,U7,PEP,"2024-01-02, 10:00:00",0,170,0,\n'
        'Trades,Data,Order,Forex - Held with IB LLC,USD,U7,EUR.USD,"2024-01-02, 10:00:00",100,1.1,-2,\n'
        'Trades,Data,Order,Stocks,GBP,U7,EVR,"2024-01-02, 10:00:00",303,4.938,-9.5,O\n'
        "Transaction Fees,Header,Asset Category,Currency,Date/Time,Symbol,Description,Quantity,Trade Price,"
        "Amount,Code\n"
        'Transaction Fees,Data,Stocks,GBP,"2024-01-02, 10:00:00",EVR,UK Stamp Tax,303,4.938,-7.48,\n'
        "Transfers,Header,Asset Category,Currency,Symbol,Date,Type,Direction,Xfer Company,Xfer Account,Qty,"
        "Xfer Price,Market Value,Realized P/L,Cash Amount,Code\n"
        'Transfers,Data,Stocks,USD,AAPL,2024-01-05,ACATS,In,--,X1,"2,500",--,"425,000.00",0.00,0.00,\n'
        "Transfers,Data,Total,,,,,,,,,,425000,0,0,\n"
    )
    assert [(e.type.value, e.ticker, e.quantity, e.price, e.account) for e in booked(found)] == [
        ("buy", "BRK-B", D(1000), D(360), "U7"),
        ("buy", "EVR", D(303), D("4.938"), "U7"),
        ("transfer_in", "AAPL", D(2500), D(170), None),
    ]
    assert ignored(found) == [
        "It was cancelled.",
        "It was cancelled.",
        "It has no quantity.",
        "It changes money; cash by currency will differ from IB's by it.",
        "It is part of the commission of its trade already.",
        "It sums up other rows.",
    ]
    remarks = {row.entry.ticker: row.remarks for row in found.rows if row.entry}
    assert "does not say where EVR is listed" in remarks["EVR"][0]
    assert "their value that day" in remarks["AAPL"][0]


# --- Portfolio Performance ---


def test_a_purchase_in_the_files_of_account_and_portfolio_is_one() -> None:
    header = (
        "Date,Ex Date,Type,Value,Transaction Currency,Gross Amount,Currency Gross Amount,Exchange Rate,Fees,Taxes,"
        "Shares,ISIN,WKN,Ticker Symbol,Security Name,Note\n"
    )
    row = '2024-01-16T09:30,,Buy,"{}1,004.99",EUR,,,,4.99,,10,,,EUNL.DE,World,\n'
    of_account, of_portfolio = read(header + row.format("-")), read(header + row.format(""))
    assert of_account.format.key == "portfolio_performance"
    assert [entry.price for entry in booked(of_account)] == [D(100)]
    assert [row.key for row in of_account.rows] == [row.key for row in of_portfolio.rows]


# --- whatever comes ---

HEADERS = [
    "",
    "date,symbol,quantity,price,type,amount,fee\n",
    "Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note\n",
    "Datum;Typ;Wert;Buchungswährung;Gebühren;Steuern;Stück;ISIN;Ticker-Symbol\n",
    "Symbol,Trade Date,Purchase Price,Quantity,Commission,Transaction Type\n",
    "date,symbol,quantity,activityType,unitPrice,currency,fee,amount\n",
    "ClientAccountID,CurrencyPrimary,Symbol,TradeDate,Quantity,TradePrice,Buy/Sell,Amount,Type,Description\n",
    (
        "Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price\n"
        "Trades,Data,Order,Stocks,"
    ),
    '{"activities": [',
    '{"kind": "tailwatch-book", "entries": [',
    "<FlexQueryResponse>",
]
CELLS = [
    "buy",
    "Kauf",
    "SPLIT",
    "1e999",
    "-0",
    "1,2",
    "1.2.3",
    "99/99/9999",
    "20240102",
    "\0",
    '"',
    "{}",
    "]}",
    "<Trade/>",
    "é",
]
pieces = st.lists(st.one_of(st.sampled_from([*CELLS, ",", ";", "\n", "\r"]), st.text(max_size=5)), max_size=40).map(
    "".join
)


@given(st.sampled_from(HEADERS), pieces)
def test_any_file_is_read_or_refused(header: str, rest: str) -> None:
    try:
        found = read((header + rest).encode("utf-8", errors="surrogatepass"))
    except InputFileError:
        return
    for row in found.rows:
        assert (row.entry is not None) + (row.split is not None) + bool(row.errors) + (row.ignored is not None) == 1
