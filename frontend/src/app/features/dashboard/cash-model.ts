import { CashType, Trade } from '../../core/api/types';
import { parseDecimal } from '../../ui/decimal';
import { KINDS } from './entry-words';
import { toLocalField, typed } from './trade-model';

/** Cash that came or went, as it is typed. */
export interface CashModel {
  kind: CashType;
  ticker: string;
  amount: string;
  currency: string;
  tax: string;
  fee: string;
  /** The value of a `datetime-local` field, in the reader's time zone; empty means now. */
  executedAt: string;
  note: string;
}

const ORDER: readonly CashType[] = ['dividend', 'deposit', 'withdrawal', 'interest', 'fee', 'tax'];
export const CASH_KINDS = ORDER.map((value) => ({ value, name: KINDS[value] }));

/** The API's field names, as errors speak of them, beside the form's. */
export const FIELD_OF: Record<string, keyof CashModel> = {
  type: 'kind',
  ticker: 'ticker',
  amount: 'amount',
  currency: 'currency',
  tax: 'tax',
  fee: 'fee',
  executed_at: 'executedAt',
  note: 'note',
};

export function newCash(currency: string): CashModel {
  return {
    kind: 'dividend',
    ticker: '',
    amount: '',
    currency,
    tax: '',
    fee: '',
    executedAt: '',
    note: '',
  };
}

/** What the API is asked to book; the form has been validated, so every number parses. */
export function toEntry(model: CashModel, locale: string) {
  const exactly = (written: string) => parseDecimal(written, locale) ?? written;
  const takesTicker = model.kind !== 'deposit' && model.kind !== 'withdrawal';
  return {
    type: model.kind,
    ticker: (takesTicker && model.ticker.trim().toUpperCase()) || null,
    amount: exactly(model.amount),
    currency: model.currency.trim().toUpperCase(),
    tax: exactly(model.tax.trim() || '0'),
    fee: exactly(model.fee.trim() || '0'),
    ...(model.executedAt && { executed_at: new Date(model.executedAt).toISOString() }),
    note: model.note.trim() || null,
  };
}

/** A booked entry as the form shows it for changing. */
export function fromEntry(trade: Trade, locale: string): CashModel {
  const unlessZero = (value: string) => (Number(value) === 0 ? '' : typed(value, locale));
  return {
    kind: trade.type as CashType,
    ticker: trade.ticker ?? '',
    amount: typed(trade.amount ?? '', locale),
    currency: trade.currency,
    tax: unlessZero(trade.tax),
    fee: unlessZero(trade.fee),
    executedAt: toLocalField(trade.executed_at),
    note: trade.note ?? '',
  };
}
