import { QuoteEvent } from '../../core/api/types';
import { clockTime, compactMoney, dayOfYear, percent, signed } from '../../ui/format';

/** How far live prices reach, and that they are no closes. */
export function liveSentence(quote: QuoteEvent, positions: number): string {
  const priced = quote.positions.filter(({ state }) => state === 'live').length;
  const count =
    priced >= positions
      ? ''
      : ` ${priced} of ${positions} positions have one; the others count at their close.`;
  return quote.feed.message + count;
}

/** The day's profit or loss: since the closes that the snapshot rests on. */
export function livePnl(quote: QuoteEvent, currency: string) {
  const amount = signed(quote.pnl, (pnl) => compactMoney(pnl, currency));
  const share =
    quote.pnl_fraction === null ? '' : ` (${signed(quote.pnl_fraction, (one) => percent(one))})`;
  const pnl = Number(quote.pnl);
  return {
    text: /[1-9]/.test(amount) ? amount + share : 'unchanged',
    since: quote.close_day ? `since the close of ${dayOfYear(quote.close_day)}` : '',
    tone: pnl === 0 ? ('' as const) : pnl > 0 ? ('gain' as const) : ('loss' as const),
  };
}

/** When the newest live price was. */
export function liveTime(quote: QuoteEvent): string {
  return clockTime(quote.feed.last_tick_at ?? quote.at);
}
