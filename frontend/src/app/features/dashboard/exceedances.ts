import { Backtest, BacktestScores, ServedDay } from '../../core/api/types';
import { exact, fixed, percent } from '../../ui/format';

export type Level = '95' | '97.5' | '99';

/** Levels for which each day's line is kept. */
export type DrawnLevel = Extract<Level, '95' | '99'>;

/** Below this probability a test says that what was seen is no accident. */
const SIGNIFICANT = 0.05;

const p = (value: number) =>
  value < 0.001 ? 'p under 0.001' : `p ${fixed(value, value < 0.1 ? 3 : 2)}`;
const share = (level: Level) => percent(Number(level) / 100, level === '97.5' ? 1 : 0);
const days = (count: number) => (count === 1 ? '1 day' : `${exact(count)} days`);

/** Exceedances against expectation, in one sentence. */
export function countSentence(n: number, exceedances: number, level: Level): string {
  const expected = n * (1 - Number(level) / 100);
  return (
    `the loss exceeded VaR ${share(level)} on ${exceedances} of ${days(n)} ` +
    `(${percent(exceedances / n)}); ${fixed(expected, expected < 10 ? 1 : 0)} were to be expected.`
  );
}

/** What the tests of Kupiec and Christoffersen say of it, in words. */
export function verdict(scores: BacktestScores, level: Level): string {
  const parts: string[] = [];
  if (scores.kupiec_p !== null) {
    const wanted = 1 - Number(level) / 100;
    const tooOften = scores.exceedances > scores.n * wanted;
    const says =
      scores.kupiec_p >= SIGNIFICANT
        ? 'The count fits the confidence'
        : tooOften
          ? 'That is too often: the figure is too low'
          : 'That is too seldom: the figure is too careful';
    parts.push(`${says} (Kupiec, ${p(scores.kupiec_p)}).`);
  }
  if (scores.independence_p === null) {
    parts.push('There are too few to tell whether they come in clusters.');
  } else {
    const says =
      scores.independence_p >= SIGNIFICANT ? 'They come singly' : 'They come in clusters';
    parts.push(`${says} (Christoffersen, ${p(scores.independence_p)}).`);
  }
  return parts.join(' ');
}

/** Each day's profit and loss beside the VaR that was said for it, as fractions of value. */
export interface DaySeries {
  dates: string[];
  pnl: number[];
  /** Positive losses. */
  atRisk: number[];
}

/** From this many served days on the live record is worth a picture of its own. */
const ENOUGH_LIVE = 20;

/** A picture has room for this many days. */
const DRAWN = 1000;

export function hasLiveSeries(backtest: Pick<Backtest, 'live'>): boolean {
  return backtest.live.days.length >= ENOUGH_LIVE;
}

export function liveSeries(live: readonly ServedDay[], level: DrawnLevel): DaySeries {
  const drawn = live.slice(-DRAWN);
  return {
    dates: drawn.map(({ day }) => day),
    pnl: drawn.map(({ pnl }) => pnl),
    atRisk: drawn.map((day) => day[`var_${level}_1d`]),
  };
}

export function storedSeries(backtest: Pick<Backtest, 'series'>, level: DrawnLevel): DaySeries {
  const { series } = backtest;
  return {
    dates: (series?.dates ?? []).slice(-DRAWN),
    pnl: (series?.pnl ?? []).slice(-DRAWN),
    atRisk: (series?.[`var_${level}_1d`] ?? []).slice(-DRAWN),
  };
}

/** Days on which the loss was beyond VaR. */
export function exceededDays({ pnl, atRisk }: DaySeries): number[] {
  return pnl.flatMap((result, i) => (result < -atRisk[i] ? [i] : []));
}

/** On how many of the served days the loss was beyond VaR. */
export function liveCount({ n, exceedances, exceedances_99 }: Backtest['live'], level: DrawnLevel) {
  return { n, exceedances: level === '95' ? exceedances : exceedances_99 };
}
