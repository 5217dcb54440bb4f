import { RecordedChange } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import { changeRow } from './change-words';

const ENTRY = {
  id: 12,
  type: 'buy',
  ticker: 'AAPL',
  quantity: '10',
  price: '125.5',
  amount: null,
  currency: 'USD',
  fee: '0',
  tax: '0',
  fx_rate: null,
  executed_at: '2022-12-01T15:00:00.000000Z',
  account: null,
  note: null,
  external_id: null,
  import_id: null,
};
const CHANGE: RecordedChange = {
  id: 3,
  trade_id: 12,
  action: 'change',
  changed_at: '2022-12-02T15:00:00Z',
  changed_by: 'owner@example.org',
  before: ENTRY,
  after: { ...ENTRY, quantity: '1000', price: '125.5001', fee: '1.5', note: 'typo' },
};

describe('changeRow', () => {
  beforeEach(() => useLocale('en-US'));

  it('tells what became different, and nothing else', () => {
    const row = changeRow(CHANGE);
    expect(row).toMatchObject({ removed: false, words: 'Buy of 10 AAPL at 125.50' });
    expect(row.fields).toEqual([
      { name: 'Quantity', before: '10', after: '1,000' },
      { name: 'Price', before: '$125.50', after: '125.5001 USD' },
      { name: 'Fee', before: 'nothing', after: '$1.50' },
      { name: 'Note', before: 'nothing', after: 'typo' },
    ]);
  });

  it('shows another currency at every amount it is of', () => {
    const row = changeRow({ ...CHANGE, after: { ...ENTRY, currency: 'EUR' } });
    expect(row.fields).toEqual([{ name: 'Price', before: '$125.50', after: '€125.50' }]);
  });

  it('keeps all that a removed entry said', () => {
    const row = changeRow({ ...CHANGE, action: 'removal', after: null });
    expect(row.removed).toBe(true);
    expect(row.fields.map(({ name }) => name)).toEqual([
      'Type',
      'Ticker',
      'Quantity',
      'Price',
      'Executed at',
    ]);
  });

  it('shows entries of cash by their amount', () => {
    const cash = { ...ENTRY, type: 'deposit', ticker: null, quantity: null, price: null };
    const row = changeRow({
      ...CHANGE,
      before: { ...cash, amount: '500' },
      after: { ...cash, amount: '5000' },
    });
    expect(row.words).toBe('Deposit of $500.00');
    expect(row.fields).toEqual([{ name: 'Amount', before: '$500.00', after: '$5,000.00' }]);
  });
});
