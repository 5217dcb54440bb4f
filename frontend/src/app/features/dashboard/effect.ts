import { Preview, PreviewFigures, TailFigure } from '../../core/api/types';
import { parseDecimal } from '../../ui/decimal';
import { exact, percent, signed, wholeMoney } from '../../ui/format';
import { Confidence, tailOf } from './headline';
import { TradeModel, toInput } from './trade-model';

/** A trade that might be made; the quantity is signed. */
export interface TradeToTry {
  ticker: string;
  quantity: string;
  price?: string;
}

/** As the server has it; the server decides which tickers there are. */
export const TICKER = /^[A-Za-z0-9^][A-Za-z0-9.^=_-]{0,23}$/;

/** The trade as far as it is typed, for its effect; null while it is none. A price may still be missing. */
export function tradeToTry(model: TradeModel, locale: string): TradeToTry | null {
  const quantity = parseDecimal(model.quantity, locale);
  if (!TICKER.test(model.ticker.trim()) || !quantity || Number(quantity) === 0) return null;
  const { ticker, quantity: withSign, price } = toInput(model, locale);
  const priced = parseDecimal(model.price, locale) !== null && !price.startsWith('-');
  return { ticker, quantity: withSign, ...(priced && { price }) };
}

export interface EffectRow {
  id: string;
  name: string;
  before: string;
  after: string;
  /** How much more (or less) in money; empty where that is not known. */
  change: string;
}

/** Before and after of the figures that the page leads with. */
export function effectRows(
  preview: Preview,
  confidence: Confidence,
  currency: string,
): EffectRow[] {
  const tail = tailOf(confidence);
  const rows: [id: string, name: string, key: TailFigure | 'annualized_volatility'][] = [
    ['var', `VaR ${confidence}`, `var_${tail}_1d`],
    ['es', `ES ${confidence}`, `es_${tail}_1d`],
    ['volatility', 'Volatility', 'annualized_volatility'],
  ];
  return rows.map(([id, name, key]) => {
    const inMoney = (amount: number | null) => wholeMoney(amount, currency);
    // In money alone where a share of value would say nothing, as in the tiles.
    const shares = preview.before[key] !== null && preview.after[key] !== null;
    const write = (figures: PreviewFigures) =>
      shares ? percent(figures[key]) : inMoney(figures.amounts[key]);
    const change = difference(preview, key);
    return {
      id,
      name,
      before: write(preview.before),
      after: write(preview.after),
      change: change === null ? '' : signed(change, (amount) => wholeMoney(amount, currency)),
    };
  });
}

function difference(preview: Preview, key: TailFigure | 'annualized_volatility'): number | null {
  const before = preview.before.amounts[key];
  const after = preview.after.amounts[key];
  return before !== null && after !== null ? after - before : null;
}

/** What stands in the way of a trade's effect: one sentence a trade that could not be reckoned with. */
export function leftOut(preview: Preview): string[] {
  return preview.trades.flatMap(({ ticker, reason }) => (reason ? [`${ticker}: ${reason}`] : []));
}

/** A share of value as it is typed in percent, such as 2 or 1.5; null where it is none. */
export function typedShare(text: string, locale: string): number | null {
  const value = parseDecimal(text.replace('%', ''), locale);
  const share = value === null ? NaN : Number(value) / 100;
  return share > 0 && share <= 1 ? share : null;
}

export interface Sized {
  sentence: string;
  /** Signed; null where there is no other size to take. */
  quantity: string | null;
}

/** The size of the trade that keeps to the limit, in a sentence. */
export function sizedTrade(preview: Preview, trade: TradeToTry): Sized | null {
  const { limit } = preview;
  if (!limit) return null;
  const { message, trade_quantity: quantity } = limit;
  const figure = FIGURES[limit.figure];
  const reached = limit.reached === null ? '' : ` ${figure} comes to ${percent(limit.reached)}.`;
  const isOther = quantity !== null && Number(quantity) !== Number(trade.quantity);
  if (!isOther) return { sentence: `${message}${reached}`, quantity: null };
  if (Number(quantity) === 0)
    return { sentence: `${message} It is none.${reached}`, quantity: null };
  return { sentence: `${message} ${deed(quantity)}.${reached}`, quantity };
}

/** Sell 40.5 */
function deed(quantity: string): string {
  const sells = quantity.startsWith('-');
  return `${sells ? 'Sell' : 'Buy'} ${exact(sells ? quantity.slice(1) : quantity)}`;
}

/** The best single hedge, in a sentence. */
export function hedgeSentence(preview: Preview, currency: string): string {
  const { hedge } = preview;
  if (!hedge) return 'No held name, nor the benchmark, lowers the risk after this trade.';
  const worth = wholeMoney(hedge.market_value.replace('-', ''), currency);
  const trade = `${deed(hedge.quantity)} ${hedge.ticker} (${worth}) as well`;
  const figure = FIGURES[hedge.figure];
  // A share of value that would say nothing is null.
  if (hedge.before === null || hedge.after === null) return `${trade}: that lowers ${figure} most.`;
  return `${trade}, and ${figure} goes from ${percent(hedge.before)} to ${percent(hedge.after)}.`;
}

const FIGURES: Record<TailFigure | 'annualized_volatility', string> = {
  annualized_volatility: 'Volatility',
  var_95_1d: 'VaR 95',
  var_975_1d: 'VaR 97.5',
  var_99_1d: 'VaR 99',
  es_95_1d: 'ES 95',
  es_975_1d: 'ES 97.5',
  es_99_1d: 'ES 99',
};
