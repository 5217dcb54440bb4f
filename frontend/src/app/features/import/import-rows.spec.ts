import { ReadRow } from '../../core/api/types';
import { columnsOf, rowView, summary } from './import-rows';

const ROW: ReadRow = {
  line: 2,
  status: 'new',
  entry: {
    type: 'sell',
    ticker: 'AAPL',
    quantity: '-10',
    price: '125.5',
    amount: null,
    currency: 'USD',
    fee: '1',
    tax: '0',
    fx_rate: null,
    executed_at: '2023-01-03T00:00:00Z',
    account: null,
    note: null,
    external_id: null,
  },
  split: null,
  errors: [],
  remarks: ['Look at the price.'],
  ignored: null,
  raw: {},
};

describe('rows of a file', () => {
  it('are shown as they would be booked', () => {
    const row = rowView(ROW);
    expect(row.kind).toBe('Sell');
    expect(row.deal).toBe('10 × 125.50');
    expect(row.words).toEqual(['Look at the price.']);
  });

  it('show their own cells where they could not be read', () => {
    const broken: ReadRow = {
      ...ROW,
      status: 'error',
      entry: null,
      errors: ['quantity: “ten” is no number.'],
      remarks: [],
      raw: { date: '2023-01-03', symbol: 'AAPL', quantity: 'ten', note: '' },
    };
    expect(rowView(broken).deal).toBe('2023-01-03 · AAPL · ten');
    expect(rowView(broken).words).toEqual(['quantity: “ten” is no number.']);
  });

  it('come to a sentence', () => {
    const counts = {
      new: 1,
      split: 0,
      duplicate: 3,
      possible_duplicate: 0,
      error: 2,
      ignored: 0,
      booked: 0,
    };
    const result = { counts } as Parameters<typeof summary>[0];
    expect(summary(result)).toBe('1 new entry, 3 booked already, 2 that cannot be booked.');
  });

  it('name their columns in a refusal', () => {
    const refusal = 'It could not be told. Its columns are: When, What. Known are: Yahoo; other.';
    expect(columnsOf(refusal)).toEqual(['When', 'What']);
    expect(columnsOf('Something else.')).toEqual([]);
  });
});
