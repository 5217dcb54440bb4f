import { Performance } from '../../core/api/types';
import { day, money } from '../../ui/format';

/** Why a figure is missing, begins late or is not the whole truth; a sentence each. */
export function returnSentences(performance: Performance): string[] {
  const { from, to } = performance;
  const words: string[] = [];
  if (!hasPeriod(performance)) {
    words.push(
      from === null
        ? 'There is nothing to value in this period yet.'
        : `Only ${day(from)} can be valued so far; a return needs a second day.`,
    );
  } else {
    if (performance.time_weighted === null) {
      words.push(
        'No time-weighted return: on some day none of your money was at work, or more than all of it was lost.',
      );
    }
    if (performance.money_weighted === null) {
      words.push(
        'No money-weighted return: no single rate explains the money that came and went, or more than one does.',
      );
    }
  }
  if (performance.unvalued_until) {
    words.push(
      `Counted from ${day(from ?? to)}: up to ${day(performance.unvalued_until)} prices or exchange rates are missing.`,
    );
  }
  return words;
}

/** Whether there are two days, between which something can have been earned. */
export function hasPeriod({ from, to }: Pick<Performance, 'from' | 'to'>): boolean {
  return from !== null && to !== null && from < to;
}

/** What the owner put in or took out, and what of it was earned. */
export function flowSentence(performance: Performance): string {
  const { base_currency, start_value, end_value, net_flow, counts_cash } = performance;
  if (net_flow === null || !hasPeriod(performance)) return '';
  const amount = (value: number | null) => money(value, base_currency);
  const flow =
    Math.abs(net_flow) < 0.005
      ? 'nothing paid in or taken out, on balance'
      : `${amount(Math.abs(net_flow))} ${net_flow > 0 ? 'paid in' : 'taken out'}, on balance`;
  const cash = counts_cash
    ? 'Cash counts, so deposits, withdrawals and transfers are what you put in.'
    : 'Cash does not count, so what shares cost and bring in is what you put in.';
  return `From ${amount(start_value)} to ${amount(end_value)}, with ${flow}. ${cash}`;
}
