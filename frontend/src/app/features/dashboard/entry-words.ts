import { Trade, isOfShares } from '../../core/api/types';
import { multiply, negate } from '../../ui/decimal';
import { exact, money } from '../../ui/format';

/** What people call each kind of entry. */
export const KINDS: Record<Trade['type'], string> = {
  buy: 'Buy',
  sell: 'Sell',
  short: 'Short',
  cover: 'Cover',
  transfer_in: 'Transfer in',
  transfer_out: 'Transfer out',
  dividend: 'Dividend',
  interest: 'Interest',
  deposit: 'Deposit',
  withdrawal: 'Withdrawal',
  fee: 'Fee',
  tax: 'Tax',
};

const PAID: readonly Trade['type'][] = ['withdrawal', 'fee', 'tax'];

/** An entry as a row of the book shows it. */
export interface EntryRow {
  trade: Trade;
  kind: string;
  /** Whether shares or money go. */
  goes: boolean;
  /** Ten × 12.50; empty for cash. */
  deal: string;
  amount: string;
  /** Fees and taxes. */
  charges: string;
}

export function entryRow(trade: Trade): EntryRow {
  const charges = [
    [trade.fee, 'fee'],
    [trade.tax, 'tax'],
  ] as const;
  const common = {
    trade,
    kind: KINDS[trade.type],
    charges: charges
      .filter(([value]) => Number(value) !== 0)
      .map(([value, name]) => `${name} ${money(value, trade.currency)}`)
      .join(', '),
  };
  if (!isOfShares(trade)) {
    const amount = trade.amount ?? '0';
    const goes = PAID.includes(trade.type) !== amount.startsWith('-');
    return { ...common, goes, deal: '', amount: money(absolute(amount), trade.currency) };
  }
  return {
    ...common,
    goes: trade.quantity.startsWith('-'),
    deal: `${exact(absolute(trade.quantity))} × ${exact(trade.price, 2)}`,
    amount: money(absolute(multiply(trade.quantity, trade.price)), trade.currency),
  };
}

/** Sell of 10 AAPL at 125.50; deposit of $1,000.00 */
export function entryWords(trade: Trade): string {
  const kind = KINDS[trade.type].toLowerCase();
  if (isOfShares(trade)) {
    const quantity = exact(absolute(trade.quantity));
    return `${kind} of ${quantity} ${trade.ticker} at ${exact(trade.price, 2)}`;
  }
  const amount = money(trade.amount ?? '0', trade.currency);
  return `${kind} of ${amount}${trade.ticker ? ` (${trade.ticker})` : ''}`;
}

const absolute = (value: string) => (value.startsWith('-') ? negate(value) : value);
