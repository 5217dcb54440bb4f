"""Files as brokers and trackers write them, made up by us: what each row becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tailwatch.book import importers
from tailwatch.book.importers import ColumnMapping, ImportedFile
from tailwatch.errors import InputFileError

D = Decimal


def read(text: str | bytes, **mapping: Any) -> ImportedFile:
    content = text.encode() if isinstance(text, str) else text
    return importers.read(content, base_currency="USD", mapping=ColumnMapping(**mapping) if mapping else None)


def booked(found: ImportedFile) -> list[tuple[object, ...]]:
    """Return type, ticker, quantity, price, amount, currency, fee and tax of each entry."""
    assert [row.errors for row in found.rows if row.errors] == []
    return [
        (e.type.value, e.ticker, e.quantity, e.price, e.amount, e.currency, e.fee, e.tax)
        for row in found.rows
        if (e := row.entry) is not None
    ]


def test_generic_columns_take_every_kind() -> None:
    found = read(
        "external_id,account,date,type,symbol,isin,quantity,price,currency,fee,tax,fx_rate,note\n"
        "a1,Broker,2023-01-03T15:30:00Z,buy,aapl,,10,125.5,USD,1,,,\n"
        "a2,Broker,2023-01-04,sell,AAPL,,4,130,USD,1,2,,\n"
        "a3,Broker,2023-02-16,dividend,AAPL,,10,0.23,USD,,0.35,,\n"
        'a4,Broker,2023-02-17,deposit,,,,1000,EUR,,,1.07,"from, home"\n'
        "a5,Broker,2023-02-18,split,AAPL,,4,,,,,,\n"
    )
    assert found.format.key == "generic"
    assert booked(found) == [
        ("buy", "AAPL", D(10), D("125.5"), None, "USD", D(1), D(0)),
        ("sell", "AAPL", D(-4), D(130), None, "USD", D(1), D(2)),
        ("dividend", "AAPL", None, None, D("2.3"), "USD", D(0), D("0.35")),
        ("deposit", None, None, None, D(1000), "EUR", D(0), D(0)),
    ]
    deposit = found.rows[3].entry
    assert deposit is not None
    assert (deposit.fx_rate, deposit.note, deposit.account) == (D("1.07"), "from, home", "Broker")
    split = found.rows[4].split
    assert split is not None
    assert (split.ticker, split.ratio) == ("AAPL", D(4))


def test_an_unknown_file_is_taken_with_a_mapping_and_refused_with_its_columns_without() -> None:
    text = "When;What;How many;At;Which money\n31.01.2023;AAPL;-2,5;1.130,25;EUR\n"
    with pytest.raises(InputFileError, match="Its columns are: When, What, How many, At, Which money"):
        read(text)
    columns = {"date": "When", "symbol": "What", "quantity": "How many", "price": "At", "currency": "Which money"}
    found = read(text, columns=columns)
    assert booked(found) == [("sell", "AAPL", D("-2.5"), D("1130.25"), None, "EUR", D(0), D(0))]
    assert found.rows[0].entry is not None
    assert found.rows[0].entry.executed_at == datetime(2023, 1, 31, tzinfo=UTC)


GHOSTFOLIO = """{
  "meta": {"date": "2024-01-01T00:00:00.000Z", "version": "2.30.0"},
  "accounts": [{"id": "abc", "name": "My broker"}],
  "activities": [
    {"accountId": "abc", "comment": "first", "fee": 1.5, "quantity": 10, "type": "BUY", "unitPrice": 125.07,
     "currency": "USD", "dataSource": "YAHOO", "date": "2023-01-03T00:00:00.000Z", "symbol": "AAPL"},
    {"accountId": "abc", "comment": null, "fee": 0, "quantity": 10, "type": "DIVIDEND", "unitPrice": 0.23,
     "currency": "USD", "dataSource": "YAHOO", "date": "2023-02-16T00:00:00.000Z", "symbol": "AAPL"},
    {"accountId": "abc", "comment": null, "fee": 4.9, "quantity": 1, "type": "FEE", "unitPrice": 0,
     "currency": "EUR", "dataSource": "MANUAL", "date": "2023-03-01T00:00:00.000Z", "symbol": "Account fee"},
    {"accountId": "abc", "comment": null, "fee": 0, "quantity": 1, "type": "ITEM", "unitPrice": 300000,
     "currency": "EUR", "dataSource": "MANUAL", "date": "2023-03-01T00:00:00.000Z", "symbol": "House"}
  ]
}"""


def test_ghostfolio_json() -> None:
    found = read(GHOSTFOLIO)
    assert found.format.key == "ghostfolio_json"
    assert booked(found) == [
        ("buy", "AAPL", D(10), D("125.07"), None, "USD", D("1.5"), D(0)),
        ("dividend", "AAPL", None, None, D("2.3"), "USD", D(0), D(0)),
        ("fee", None, None, None, D("4.9"), "EUR", D(0), D(0)),
    ]
    assert found.rows[0].entry is not None
    assert (found.rows[0].entry.account, found.rows[0].entry.note) == ("My broker", "first")
    assert found.rows[3].ignored == "It is a valuable item, which has no market price."


def test_ghostfolio_csv() -> None:
    found = read(
        "Date,Code,DataSource,Currency,Price,Quantity,Action,Fee,Note\n"
        "2021-13-01,MSFT,YAHOO,USD,298.580,5,buy,19.00,no such date\n"
        "01/09/2021,MSFT,YAHOO,USD,0.62,5,dividend,0.00,\n"
        "30/09/2021,MSFT,YAHOO,USD,298.580,5,buy,19.00,\n"
    )
    assert found.format.key == "ghostfolio_csv"
    assert found.rows[0].errors == ("Date: “2021-13-01” is no date such as 2026-03-31.",)
    # The thirtieth cannot be a month, so the first is a day, too.
    second = found.rows[1].entry
    assert second is not None
    assert (second.executed_at, second.amount) == (datetime(2021, 9, 1, tzinfo=UTC), D("3.1"))


PP_GERMAN = (
    "Datum;Typ;Wert;Buchungswährung;Bruttobetrag;Währung Bruttobetrag;Wechselkurs;Gebühren;Steuern;Stück;ISIN;WKN;"
    "Ticker-Symbol;Wertpapiername;Notiz\r\n"
    "2023-01-03T09:30;Kauf;-1.265,90;EUR;;;;10,90;0,00;10;US0378331005;865985;APC.DE;Apple;\r\n"
    "2023-02-16T00:00;Dividende;17,25;EUR;23,00;USD;1,0720;;3,45;10;US0378331005;865985;APC.DE;Apple;\r\n"
    "2023-03-01T00:00;Verkauf;648,10;EUR;;;;5,90;6,00;5;US0378331005;865985;APC.DE;Apple;\r\n"
    "2023-03-02T00:00;Einlage;2.000,00;EUR;;;;;;;;;;;Gehalt\r\n"
    "2023-03-03T00:00;Entnahme;-100,00;EUR;;;;;;;;;;;\r\n"
    "2023-03-04T00:00;Steuerrückerstattung;12,50;EUR;;;;;;;;;;;\r\n"
    "2023-03-05T00:00;Zinsbelastung;-1,25;EUR;;;;;;;;;;;\r\n"
    "2023-03-06T00:00;Einlieferung;300,00;EUR;;;;0,00;0,00;3;;;SAP.DE;SAP;\r\n"
    "2023-03-07T00:00;Umbuchung (Eingang);50,00;EUR;;;;;;;;;;;\r\n"
)


def test_portfolio_performance_in_german() -> None:
    found = read(PP_GERMAN.encode("utf-8-sig"))
    assert found.format.key == "portfolio_performance"
    assert booked(found) == [
        ("buy", "APC.DE", D(10), D("125.5"), None, "EUR", D("10.9"), D(0)),
        ("dividend", "APC.DE", None, None, D("20.7"), "EUR", D(0), D("3.45")),
        ("sell", "APC.DE", D(-5), D(132), None, "EUR", D("5.9"), D(6)),
        ("deposit", None, None, None, D(2000), "EUR", D(0), D(0)),
        ("withdrawal", None, None, None, D(100), "EUR", D(0), D(0)),
        ("tax", None, None, None, D("-12.5"), "EUR", D(0), D(0)),
        ("interest", None, None, None, D("-1.25"), "EUR", D(0), D(0)),
        ("transfer_in", "SAP.DE", D(3), D(100), None, "EUR", D(0), D(0)),
    ]
    assert found.rows[-1].ignored == "It moves something between accounts of your own."


def test_portfolio_performance_in_english_with_a_name_without_a_ticker() -> None:
    text = (
        "Date,Type,Value,Transaction Currency,Gross Amount,Currency Gross Amount,Exchange Rate,Fees,Taxes,Shares,ISIN,"
        "WKN,Ticker Symbol,Security Name,Note\n"
        '2024-01-16T09:30,Buy,"-1,004.99",EUR,,,,4.99,,10,IE00B4L5Y983,A0RPWH,,"iShares Core MSCI World, Acc",\n'
        "2024-02-01T00:00,Interest,3.00,EUR,,,,,0.79,,,,,,\n"
    )
    found = read(text)
    [error] = found.rows[0].errors
    assert "only an ISIN (IE00B4L5Y983)" in error
    mapped = read(text, symbols={"IE00B4L5Y983": "eunl.de"})
    assert booked(mapped) == [
        ("buy", "EUNL.DE", D(10), D(100), None, "EUR", D("4.99"), D(0)),
        ("interest", None, None, None, D("3.79"), "EUR", D(0), D("0.79")),
    ]


FLEX_CSV = (
    '"ClientAccountID","CurrencyPrimary","FXRateToBase","AssetClass","Symbol","Description","ISIN","ListingExchange",'
    '"TradeID","TradeDate","DateTime","Quantity","TradePrice","Taxes","IBCommission","IBCommissionCurrency","Buy/Sell",'
    '"IBOrderID","TransactionID","LevelOfDetail"\n'
    '"U1","USD","1","STK","AAPL","APPLE","US0378331005","NASDAQ","","20230103","20230103;093105","10","125.5","0",'
    '"-1","USD","BUY","77","","ORDER"\n'
    '"U1","USD","1","STK","AAPL","APPLE","US0378331005","NASDAQ","501","20230103","20230103;093105","4","125.5","0",'
    '"-0.4","USD","BUY","77","901","EXECUTION"\n'
    '"U1","USD","1","STK","AAPL","APPLE","US0378331005","NASDAQ","502","20230103","20230103;093106","6","125.5","0",'
    '"-0.6","USD","BUY","77","902","EXECUTION"\n'
    '"U1","GBP","1.25","STK","VOD","VODAFONE","GB00BH4HKS39","LSE","503","20230104","20230104;100000","-100","0.8",'
    '"-0.5","-3","GBP","SELL","78","903","EXECUTION"\n'
    '"U1","USD","1","CASH","EUR.USD","","","IDEALFX","504","20230104","20230104;100000","1000","1.06","0","-2","USD",'
    '"BUY","79","904","EXECUTION"\n'
    '"ClientAccountID","CurrencyPrimary","FXRateToBase","AssetClass","Symbol","Description","ISIN","ListingExchange",'
    '"Date/Time","SettleDate","Amount","Type","TransactionID","LevelOfDetail"\n'
    '"U1","USD","1","STK","BRK B","BRK B DIVIDEND","","NYSE","20230216;202000","20230216","2.3","Dividends","910",'
    '"DETAIL"\n'
    '"U1","USD","1","STK","BRK B","BRK B - US TAX","","NYSE","20230216;202000","20230216","-0.35","Withholding Tax","911",'
    '"DETAIL"\n'
    '"U1","EUR","1.07","","","CASH RECEIPTS","","","20230301","20230301","500","Deposits/Withdrawals","912","DETAIL"\n'
    '"U1","USD","1","","","USD DEBIT INT","","","20230302","20230302","-1.1","Broker Interest Paid","913","DETAIL"\n'
    '"U1","USD","1","STK","BRK B","","","NYSE","20230216","20230216","1.95","Dividends","","SUMMARY"\n'
)
FLEX_BOOKED = [
    ("buy", "AAPL", D(4), D("125.5"), None, "USD", D("0.4"), D(0)),
    ("buy", "AAPL", D(6), D("125.5"), None, "USD", D("0.6"), D(0)),
    ("sell", "VOD.L", D(-100), D("0.8"), None, "GBP", D(3), D("0.5")),
    ("dividend", "BRK-B", None, None, D("2.3"), "USD", D(0), D(0)),
    ("tax", "BRK-B", None, None, D("0.35"), "USD", D(0), D(0)),
    ("deposit", None, None, None, D(500), "EUR", D(0), D(0)),
    ("interest", None, None, None, D("-1.1"), "USD", D(0), D(0)),
]


def test_flex_takes_executions_or_orders_and_never_both() -> None:
    found = read(FLEX_CSV)
    assert found.format.key == "ib_flex_csv"
    assert booked(found) == FLEX_BOOKED
    assert found.rows[0].ignored == "Its executions are taken, one by one."
    assert [row.ignored for row in found.rows if row.ignored][1:] == [
        "It changes money; cash by currency will differ from IB's by it.",
        "It sums up other rows.",
    ]
    orders = read("".join(line for line in FLEX_CSV.splitlines(keepends=True) if "EXECUTION" not in line))
    assert booked(orders)[0] == ("buy", "AAPL", D(10), D("125.5"), None, "USD", D(1), D(0))


FLEX_XML = """<FlexQueryResponse queryName="all" type="AF"><FlexStatements count="1">
<FlexStatement accountId="U1" fromDate="20230101" toDate="20231231"><Trades>
<Order accountId="U1" currency="USD" assetCategory="STK" symbol="AAPL" tradeDate="20230103" quantity="10"
 tradePrice="125.5" ibCommission="-1" ibCommissionCurrency="USD" buySell="BUY" ibOrderID="77" levelOfDetail="ORDER"/>
<Trade accountId="U1" currency="USD" fxRateToBase="1" assetCategory="STK" symbol="AAPL" isin="US0378331005"
 listingExchange="NASDAQ" tradeID="501" tradeDate="20230103" dateTime="20230103;093105" quantity="4" tradePrice="125.5"
 ibCommission="-0.4" ibCommissionCurrency="USD" taxes="0" buySell="BUY" levelOfDetail="EXECUTION"/>
</Trades><CashTransactions>
<CashTransaction accountId="U1" currency="USD" symbol="AAPL" listingExchange="NASDAQ" type="Dividends" amount="2.3"
 dateTime="20230216;202000" description="AAPL CASH DIVIDEND" transactionID="910" levelOfDetail="DETAIL"/>
</CashTransactions><CorporateActions>
<CorporateAction accountId="U1" currency="USD" symbol="AAPL" listingExchange="NASDAQ" type="FS" dateTime="20230601;202500"
 description="AAPL(US0378331005) SPLIT 4 FOR 1 (AAPL, APPLE INC, US0378331005)" quantity="12" amount="0"/>
</CorporateActions></FlexStatement></FlexStatements></FlexQueryResponse>"""


def test_flex_xml_with_a_split() -> None:
    found = read(FLEX_XML)
    assert found.format.key == "ib_flex_xml"
    assert booked(found) == [
        ("buy", "AAPL", D(4), D("125.5"), None, "USD", D("0.4"), D(0)),
        ("dividend", "AAPL", None, None, D("2.3"), "USD", D(0), D(0)),
    ]
    split = found.rows[-1].split
    assert split is not None
    assert (split.ticker, split.ratio, split.day.isoformat()) == ("AAPL", D(4), "2023-06-02"), (
        "booked in the evening before"
    )


def test_the_same_trade_has_the_same_identity_in_csv_and_xml() -> None:
    of_csv, of_xml = (
        {row.entry.external_id: row.key for row in read(text).rows if row.entry} for text in (FLEX_CSV, FLEX_XML)
    )
    assert of_csv["ib-501"] == of_xml["ib-501"]


STATEMENT = """Statement,Header,Field Name,Field Value
Statement,Data,Title,Activity Statement
Account Information,Header,Field Name,Field Value
Account Information,Data,Account,U1
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Stocks,USD,AAPL,"2023-01-03, 09:31:05","1,000",125.5,125.07,-125500,-5,125505,0,-430,O
Trades,Data,Order,Stocks,EUR,SAP,"2023-01-04, 10:00:00",-5,100.2,100,501,-1.25,-490,9.75,1,C
Trades,Data,ClosedLot,Stocks,EUR,SAP,2022-01-03,5,98,,,,490,9.75,,ST
Trades,SubTotal,,Stocks,USD,AAPL,,1000,,,-125500,-5,125505,0,-430,
Trades,Data,Order,Forex,USD,EUR.USD,"2023-01-04, 10:00:00",1000,1.06,,-1060,-2,,,1,
Trades,Total,,Stocks,USD,,,,,,-125500,-5,125505,0,-430,
Dividends,Header,Currency,Date,Description,Amount
Dividends,Data,USD,2023-02-16,AAPL(US0378331005) Cash Dividend USD 0.23 per Share (Ordinary Dividend),230
Dividends,Data,Total,,,230
Withholding Tax,Header,Currency,Date,Description,Amount,Code
Withholding Tax,Data,USD,2023-02-16,AAPL(US0378331005) Cash Dividend USD 0.23 per Share - US Tax,-34.5,
Deposits & Withdrawals,Header,Currency,Settle Date,Description,Amount
Deposits & Withdrawals,Data,USD,2023-01-02,Electronic Fund Transfer,130000
Deposits & Withdrawals,Data,Total,,,130000
Interest,Header,Currency,Date,Description,Amount
Interest,Data,USD,2023-03-03,USD Credit Interest for Feb-2023,1.5
Corporate Actions,Header,Asset Category,Currency,Report Date,Date/Time,Description,Quantity,Proceeds,Value,Realized P/L,Code
Corporate Actions,Data,Stocks,USD,2023-06-01,"2023-05-31, 20:25:00","AAPL(US0378331005) Split 4 for 1 (AAPL, APPLE INC, US0378331005)",3000,0,0,0,
Financial Instrument Information,Header,Asset Category,Symbol,Description,Conid,Security ID,Underlying,Listing Exch,Multiplier,Type,Code
Financial Instrument Information,Data,Stocks,AAPL,APPLE INC,265598,US0378331005,,NASDAQ,1,COMMON,
Financial Instrument Information,Data,Stocks,SAP,SAP SE,14204,DE0007164600,,IBIS,1,COMMON,
"""


def test_an_activity_statement() -> None:
    found = read(STATEMENT)
    assert found.format.key == "ib_statement"
    assert booked(found) == [
        ("buy", "AAPL", D(1000), D("125.5"), None, "USD", D(5), D(0)),
        ("sell", "SAP.DE", D(-5), D("100.2"), None, "EUR", D("1.25"), D(0)),
        ("dividend", "AAPL", None, None, D(230), "USD", D(0), D(0)),
        ("tax", "AAPL", None, None, D("34.5"), "USD", D(0), D(0)),
        ("deposit", None, None, None, D(130000), "USD", D(0), D(0)),
        ("interest", None, None, None, D("1.5"), "USD", D(0), D(0)),
    ]
    assert {row.entry.account for row in found.rows if row.entry} == {"U1"}
    assert [row.split.ratio for row in found.rows if row.split] == [D(4)]
    with_trades = STATEMENT.replace(
        "Trades,Data,ClosedLot",
        'Trades,Data,Trade,Stocks,EUR,SAP,"2023-01-04, 10:00:00",-5,100.2,100,501,-1.25,,,,C\nTrades,Data,ClosedLot',
    )
    assert [row[:3] for row in booked(read(with_trades))][:3] == [
        ("buy", "AAPL", D(1000)),
        ("sell", "SAP.DE", D(-5)),
        ("dividend", "AAPL", None),
    ], "an order or its executions, and never both"


def test_yahoo() -> None:
    found = read(
        "Symbol,Current Price,Date,Time,Change,Open,High,Low,Volume,Trade Date,Purchase Price,Quantity,Commission,"
        "High Limit,Low Limit,Comment,Transaction Type\n"
        "ROKU,52.05,2018/10/25,16:00 EDT,1.3,51.2,53.4,51.1,5346929,20181010,59.04,17.0,4.95,,,core,BUY\n"
        "ROKU,52.05,2018/10/25,16:00 EDT,1.3,51.2,53.4,51.1,5346929,20181011,60,7.0,,,,,SELL\n"
        "MSFT,100,2018/10/25,16:00 EDT,,,,,,,,,,,,,\n"
        "$$CASH,1,2018/10/25,16:00 EDT,,,,,,,,500,,,,,\n"
        "VOD.L,150,2018/10/25,16:00 BST,,,,,,20181010,151,3,,,,,\n"
    )
    assert found.format.key == "yahoo"
    assert booked(found) == [
        ("buy", "ROKU", D(17), D("59.04"), None, "USD", D("4.95"), D(0)),
        ("sell", "ROKU", D(-7), D(60), None, "USD", D(0), D(0)),
        ("buy", "VOD.L", D(3), D("1.51"), None, "GBP", D(0), D(0)),
    ]
    assert [bool(row.ignored) for row in found.rows] == [False, False, True, True, False]
    assert len(found.rows[-1].remarks) == 2


def test_wealthfolio() -> None:
    found = read(
        "date,symbol,quantity,activityType,unitPrice,currency,fee,amount\n"
        "2024-01-01,MSFT,1,DIVIDEND,57.5,USD,0,57.5\n"
        "2023-12-15,MSFT,30,BUY,368.60,USD,1,\n"
        "2023-08-11,$CASH-USD,1,DEPOSIT,1,USD,0,600.03\n"
        "2023-06-02,$CASH-EUR,1,TRANSFER_OUT,1,EUR,0,20\n"
        "2023-06-01,MSFT,0,SPLIT,0,USD,0,2\n"
    )
    assert found.format.key == "wealthfolio"
    assert found.newest_first
    assert booked(found) == [
        ("dividend", "MSFT", None, None, D("57.5"), "USD", D(0), D(0)),
        ("buy", "MSFT", D(30), D("368.6"), None, "USD", D(1), D(0)),
        ("deposit", None, None, None, D("600.03"), "USD", D(0), D(0)),
        ("withdrawal", None, None, None, D(20), "EUR", D(0), D(0)),
    ]
    assert [row.split.ratio for row in found.rows if row.split] == [D(2)]
    assert found.in_order()[0] is found.rows[-1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b"PK\x03\x04binary", "no text"),
        (b'{"activities": [', "This JSON cannot be read"),
        (b'{"other": 1}', "could not be told"),
        (b"<html><body>", "could not be told"),
        (b"<FlexQueryResponse><Trades>", "This XML cannot be read"),
        (
            b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><FlexQueryResponse>&b;</FlexQueryResponse>',
            "declares entities",
        ),
        (b"just some words", "could not be told"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(content: bytes, said: str) -> None:
    with pytest.raises(InputFileError, match=said):
        read(content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_whatever_it_is_encoded_in(encoding: str) -> None:
    text = "date,symbol,quantity,price,note\n2023-01-03,AAPL,1,2,Ärger für Müller\n" * 1
    [row] = read(text.encode(encoding)).rows
    assert row.entry is not None
    assert row.entry.note == "Ärger für Müller"
