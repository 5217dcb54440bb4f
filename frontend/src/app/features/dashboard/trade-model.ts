import { ShareTrade, TradeInput } from '../../core/api/types';
import { add, multiply, negate, parseDecimal } from '../../ui/decimal';

/** A trade as it is typed. */
export interface TradeModel {
  side: 'buy' | 'sell';
  ticker: string;
  quantity: string;
  price: string;
  fee: string;
  /** The value of a `datetime-local` field, in the reader's time zone; empty means now. */
  executedAt: string;
  note: string;
}

export const EMPTY_TRADE: TradeModel = {
  side: 'buy',
  ticker: '',
  quantity: '',
  price: '',
  fee: '',
  executedAt: '',
  note: '',
};

/** The API's field names, as errors speak of them, beside the form's. */
export const FIELD_OF: Record<string, keyof TradeModel> = {
  ticker: 'ticker',
  quantity: 'quantity',
  price: 'price',
  fee: 'fee',
  executed_at: 'executedAt',
  note: 'note',
};

/** What the API is asked to book; the form has been validated, so every number parses. */
export function toInput(model: TradeModel, locale: string): TradeInput {
  const quantity = parseDecimal(model.quantity, locale) ?? model.quantity;
  const input: TradeInput = {
    ticker: model.ticker.trim().toUpperCase(),
    quantity: model.side === 'sell' ? negate(quantity) : quantity,
    price: parseDecimal(model.price, locale) ?? model.price,
  };
  const fee = parseDecimal(model.fee, locale);
  if (fee) input.fee = fee;
  if (model.executedAt) input.executed_at = new Date(model.executedAt).toISOString();
  if (model.note.trim()) input.note = model.note.trim();
  return input;
}

/** A booked trade as the form shows it for changing. */
export function fromTrade(trade: ShareTrade, locale: string): TradeModel {
  const sells = trade.quantity.startsWith('-');
  return {
    side: sells ? 'sell' : 'buy',
    ticker: trade.ticker,
    quantity: typed(sells ? negate(trade.quantity) : trade.quantity, locale),
    price: typed(trade.price, locale),
    fee: Number(trade.fee) === 0 ? '' : typed(trade.fee, locale),
    executedAt: toLocalField(trade.executed_at),
    note: trade.note ?? '',
  };
}

/** Only what differs from the booked trade; an emptied field goes back to its default. */
export function changes(trade: ShareTrade, model: TradeModel, locale: string): Partial<TradeInput> {
  const input: TradeInput = { fee: '0', note: null, ...toInput(model, locale) };
  const same: Record<string, boolean> = {
    ticker: input.ticker === trade.ticker,
    quantity: sameDigits(input.quantity, trade.quantity),
    price: sameDigits(input.price, trade.price),
    fee: sameDigits(input.fee ?? '0', trade.fee),
    executed_at: model.executedAt === toLocalField(trade.executed_at),
    note: (input.note ?? '') === (trade.note ?? ''),
  };
  return Object.fromEntries(Object.entries(input).filter(([field]) => !same[field]));
}

/** Exactly what the trade costs or brings, fee included; null while it cannot be told. */
export function totalOf(model: TradeModel, locale: string): string | null {
  const quantity = parseDecimal(model.quantity, locale);
  const price = parseDecimal(model.price, locale);
  const fee = model.fee.trim() === '' ? '0' : parseDecimal(model.fee, locale);
  if (!quantity || !price || !fee) return null;
  const amount = multiply(quantity, price);
  return model.side === 'buy' ? add(amount, fee) : add(amount, negate(fee));
}

/** A minus typed in front of the quantity means to sell: say so with the switch instead. */
export function withSideOfSign(model: TradeModel): TradeModel {
  const minus = /^\s*[-\u2212\u2013]/;
  if (!minus.test(model.quantity)) return model;
  return { ...model, side: 'sell', quantity: model.quantity.replace(minus, '') };
}

const trimmed = (value: string) => (value.includes('.') ? value.replace(/\.?0+$/, '') : value);
const sameDigits = (a: string, b: string) => trimmed(a) === trimmed(b);

/** An exact decimal as the reader would type it. */
export function typed(value: string, locale: string): string {
  const decimal = new Intl.NumberFormat(locale)
    .formatToParts(1.5)
    .find((p) => p.type === 'decimal');
  return trimmed(value).replace('.', decimal?.value ?? '.');
}

/** A moment as a `datetime-local` field has it, in the reader's time zone. */
export function toLocalField(iso: string): string {
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
