import { ShareTrade } from '../../core/api/types';
import { EMPTY_TRADE, changes, fromTrade, toInput, totalOf, withSideOfSign } from './trade-model';

const TYPED = { ...EMPTY_TRADE, ticker: ' aapl ', quantity: '1,000', price: '180.09' };
const BOOKED: ShareTrade = {
  id: 1,
  type: 'sell',
  ticker: 'PFE',
  quantity: '-250',
  price: '38.46',
  amount: null,
  currency: 'USD',
  fee: '1.5',
  tax: '0',
  fx_rate: null,
  executed_at: '2021-10-18T14:30:00Z',
  note: 'hedge',
  account: null,
  external_id: null,
  import_id: null,
  created_at: '2021-10-18T14:30:00Z',
  updated_at: '2021-10-18T14:30:00Z',
};

describe('booking', () => {
  it('sends exact digits and leaves out what was left empty', () => {
    expect(toInput(TYPED, 'en-US')).toEqual({ ticker: 'AAPL', quantity: '1000', price: '180.09' });
  });

  it('sells by a negative quantity', () => {
    expect(toInput({ ...TYPED, side: 'sell' }, 'en-US').quantity).toBe('-1000');
  });

  it('takes a typed minus as selling, once', () => {
    const model = withSideOfSign({ ...TYPED, quantity: '-25' });
    expect(model).toMatchObject({ side: 'sell', quantity: '25' });
    expect(withSideOfSign(model)).toBe(model);
  });

  it('tells the exact total, fee included on the right side', () => {
    expect(totalOf({ ...TYPED, quantity: '3', fee: '1.5' }, 'en-US')).toBe('541.77');
    expect(totalOf({ ...TYPED, quantity: '3', fee: '1.5', side: 'sell' }, 'en-US')).toBe('538.77');
    expect(totalOf({ ...TYPED, price: 'x' }, 'en-US')).toBeNull();
  });
});

describe('changing', () => {
  it('shows the trade as it would be typed', () => {
    expect(fromTrade(BOOKED, 'de-DE')).toMatchObject({
      side: 'sell',
      quantity: '250',
      price: '38,46',
      fee: '1,5',
      note: 'hedge',
    });
  });

  it('sends nothing when nothing changed', () => {
    expect(changes(BOOKED, fromTrade(BOOKED, 'en-US'), 'en-US')).toEqual({});
    const padded = { ...BOOKED, quantity: '-250.0000', price: '38.4600', fee: '1.50' };
    expect(changes(padded, fromTrade(BOOKED, 'en-US'), 'en-US')).toEqual({});
  });

  it('sends only what changed, and clears what was emptied', () => {
    const model = { ...fromTrade(BOOKED, 'en-US'), price: '39', note: '', fee: '' };
    expect(changes(BOOKED, model, 'en-US')).toEqual({ price: '39', note: null, fee: '0' });
  });
});
