import { Preview, PreviewFigures } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import { effectRows, hedgeSentence, leftOut, sizedTrade, tradeToTry, typedShare } from './effect';
import { EMPTY_TRADE } from './trade-model';

beforeEach(() => useLocale('en-US'));

function figures(share: number | null, amount: number): PreviewFigures {
  const all = <T>(value: T) => ({
    annualized_volatility: value,
    var_95_1d: value,
    es_95_1d: value,
    var_975_1d: value,
    es_975_1d: value,
    var_99_1d: value,
    es_99_1d: value,
  });
  return { nav: 1000, gross: 1000, ...all(share), amounts: all(amount) };
}

function preview(given: Partial<Preview>): Preview {
  return {
    as_of: '2026-11-20',
    base_currency: 'USD',
    method: 'filtered',
    before: figures(0.02, 20),
    after: figures(0.025, 30),
    incremental: figures(0.005, 10),
    trades: [],
    limit: null,
    hedge: null,
    warnings: [],
    ...given,
  };
}

describe('tradeToTry', () => {
  const TYPED = { ...EMPTY_TRADE, ticker: ' aapl ', quantity: '1,250.5' };

  it('takes a trade as soon as it has a ticker and a quantity', () => {
    expect(tradeToTry(TYPED, 'en-US')).toEqual({ ticker: 'AAPL', quantity: '1250.5' });
    expect(tradeToTry({ ...TYPED, side: 'sell', price: '180' }, 'en-US')).toEqual({
      ticker: 'AAPL',
      quantity: '-1250.5',
      price: '180',
    });
  });

  it('leaves out a price that is none', () => {
    expect(tradeToTry({ ...TYPED, price: 'abc' }, 'en-US')).not.toHaveProperty('price');
    expect(tradeToTry({ ...TYPED, price: '-3' }, 'en-US')).not.toHaveProperty('price');
  });

  it.each([
    { ticker: '', quantity: '1' },
    { ticker: 'A$PL', quantity: '1' },
    { ticker: 'AAPL', quantity: '' },
    { ticker: 'AAPL', quantity: '0.0' },
    { ticker: 'AAPL', quantity: 'ten' },
  ])('is null for $ticker, $quantity', (typed) => {
    expect(tradeToTry({ ...EMPTY_TRADE, ...typed }, 'en-US')).toBeNull();
  });
});

describe('effect', () => {
  it('shows shares of value and the change in money', () => {
    const [atRisk] = effectRows(preview({}), '95', 'USD');
    expect(atRisk).toEqual({
      id: 'var',
      name: 'VaR 95',
      before: '2.00%',
      after: '2.50%',
      change: '+$10',
    });
  });

  it('shows money alone where a share of value would say nothing', () => {
    const [atRisk] = effectRows(preview({ before: figures(null, 20) }), '95', 'USD');
    expect([atRisk.before, atRisk.after]).toEqual(['$20', '$30']);
  });

  it('names what could not be reckoned with', () => {
    const trade = { ticker: 'NEW', quantity: '1', price: null, market_value: null };
    const unknown: Preview['trades'][number] = {
      ...trade,
      status: 'unknown',
      reason: 'no prices',
      incremental_var_95_1d: null,
    };
    expect(leftOut(preview({ trades: [unknown] }))).toEqual(['NEW: no prices']);
  });
});

describe('size to a limit', () => {
  const LIMIT: NonNullable<Preview['limit']> = {
    figure: 'var_95_1d',
    value: 0.02,
    ticker: 'AAPL',
    quantity: '120',
    trade_quantity: '-40.5',
    reached: 0.02,
    message: 'The largest trade in AAPL that keeps to the limit.',
  };
  const TRADE = { ticker: 'AAPL', quantity: '-100' };
  const sized = (given: Partial<typeof LIMIT>) =>
    sizedTrade(preview({ limit: { ...LIMIT, ...given } }), TRADE);

  it('says how much to trade', () => {
    expect(sized({})).toEqual({
      sentence:
        'The largest trade in AAPL that keeps to the limit. Sell 40.5. VaR 95 comes to 2.00%.',
      quantity: '-40.5',
    });
  });

  it('offers no size where none keeps to the limit, and none that is typed already', () => {
    const unreachable = { trade_quantity: null, quantity: null, reached: 0.023, message: 'None.' };
    expect(sized(unreachable)).toEqual({
      sentence: 'None. VaR 95 comes to 2.30%.',
      quantity: null,
    });
    expect(sized({ ...unreachable, reached: null })?.sentence).toBe('None.');
    expect(sized({ trade_quantity: '-100.0' })?.quantity).toBeNull();
    expect(sized({ trade_quantity: '0' })).toEqual({
      sentence: `${LIMIT.message} It is none. VaR 95 comes to 2.00%.`,
      quantity: null,
    });
    expect(sizedTrade(preview({}), TRADE)).toBeNull();
  });

  it('reads a limit in percent', () => {
    expect(typedShare('1.5', 'en-US')).toBe(0.015);
    expect(typedShare('2 %', 'en-US')).toBe(0.02);
    expect(typedShare('1,5', 'de-DE')).toBe(0.015);
    for (const wrong of ['', '0', '-1', '101', 'two'])
      expect(typedShare(wrong, 'en-US')).toBeNull();
  });
});

describe('hedge', () => {
  it('says which trade lowers the risk most', () => {
    const hedge = {
      ticker: '^GSPC',
      quantity: '-2.5',
      market_value: '-9450',
      figure: 'es_975_1d',
      before: 0.052,
      after: 0.031,
      amounts: { before: 5200, after: 3100 },
    } as NonNullable<Preview['hedge']>;
    expect(hedgeSentence(preview({ hedge }), 'USD')).toBe(
      'Sell 2.5 ^GSPC ($9,450) as well, and ES 97.5 goes from 5.20% to 3.10%.',
    );
    const unusable = { ...hedge, before: null, after: null } as unknown as typeof hedge;
    expect(hedgeSentence(preview({ hedge: unusable }), 'USD')).toBe(
      'Sell 2.5 ^GSPC ($9,450) as well: that lowers ES 97.5 most.',
    );
    expect(hedgeSentence(preview({}), 'USD')).toContain('No held name');
  });
});
