import { PriceDetail, PriceStanding } from '../../core/api/types';
import { day, exact } from '../../ui/format';

/** What each state means to the reader. */
export const STATES: Record<string, string> = {
  ok: 'Up to date',
  pending: 'Being fetched',
  held: 'Held back',
  late: 'Late',
  failed: 'Failed',
  unknown: 'Unknown ticker',
};

/** What happened to bars that newer ones took the place of. */
const KINDS: Record<string, string> = {
  rebased: 'adjusted for a split or dividend since',
  restated: 'other prices',
  source: 'another source',
  removed: 'withdrawn',
};

export function needsLooking({ state, held }: PriceStanding): boolean {
  return held > 0 || !['ok', 'pending'].includes(state);
}

/** What is odd about the prices, each once; bars that are held back have places of their own. */
export function remarksOn({ remarks }: PriceStanding): string[] {
  return remarks.filter(({ code }) => code !== 'held_price').map(({ message }) => String(message));
}

/** Splits: 4 for 1 on Aug 31, 2020 (entered by hand). */
export function splitsOf({ splits }: PriceDetail): string {
  const told = splits.map(
    (one) =>
      `${exact(one.ratio)} for 1 on ${day(one.day)}${one.source === 'user' ? ' (entered by hand)' : ''}`,
  );
  return told.length ? `Splits: ${told.join(', ')}.` : '';
}

/** 12 bars from Jan 3 to Jan 19, 2022: other prices; 2 of your snapshots were computed before. */
export function restated(one: PriceDetail['restatements'][number]): string {
  const bars = one.bars === 1 ? '1 bar' : `${exact(String(one.bars))} bars`;
  const days =
    one.first === one.last ? `of ${day(one.first)}` : `from ${day(one.first)} to ${day(one.last)}`;
  const count = one.snapshots.length;
  const touched =
    count === 0
      ? 'none of your snapshots rests on them'
      : `${count} of your snapshots ${count === 1 ? 'was' : 'were'} computed before`;
  return `${bars} ${days}: ${KINDS[one.kind]}; ${touched}.`;
}
