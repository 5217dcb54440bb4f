import { Stress, StressEpisode, StressPosition } from '../../core/api/types';
import { PlainTable } from '../../ui/csv';
import { day, percent, signed, wholeMoney } from '../../ui/format';
import { Bar, Scale, bar, scaleOf } from './shares';

export interface StressRow {
  key: string;
  name: string;
  /** When it was, or how large the shock is. */
  about: string;
  pnl: number | null;
  amount: string;
  share: string;
  bar: Bar;
  /** How much of the portfolio the figure rests on, in words; empty where all of it moved by its own history. */
  basis: string;
  /** Whether any of it is estimated or missing: such a bar is drawn pale. */
  estimated: boolean;
  /** What else is known of it: its worst day, and where its dates come from. */
  details: string;
  positions: StressPosition[];
}

/** The scale that episodes and market moves share, so that their lengths compare. */
export function stressScale(stress: Stress): Scale {
  return scaleOf([...stress.episodes, ...stress.factors].map(({ pnl }) => pnl));
}

export function episodeRows(stress: Stress, scale: Scale, currency: string): StressRow[] {
  return stress.episodes.map((episode) => ({
    ...figures(episode, currency, scale),
    about: `${day(episode.from)} – ${day(episode.to)}`,
    basis: basisOf(episode),
    estimated: episode.own < COMPLETE,
    details: detailsOf(episode, currency),
  }));
}

export function factorRows(stress: Stress, scale: Scale, currency: string): StressRow[] {
  return stress.factors.map((factor) => ({
    ...figures(factor, currency, scale),
    about: 'each position by its beta',
    basis: '',
    estimated: true,
    details: '',
  }));
}

/** From here on a share counts as all of it: what is left is the rounding of shares. */
const COMPLETE = 0.99995;

/** What of the portfolio moved by its own prices of then, what by beta, and what is missing. */
export function basisOf(episode: Pick<StressEpisode, 'own' | 'by_beta' | 'missing'>): string {
  if (episode.own >= COMPLETE) return '';
  const parts = [
    [episode.own, 'by its own prices of then'],
    [episode.by_beta, 'by beta'],
    [episode.missing, 'missing'],
  ] as const;
  return parts
    .filter(([share]) => share > 0)
    .map(([share, words]) => `${percent(share, 0)} ${words}`)
    .join(' · ');
}

function detailsOf({ worst_day, source }: StressEpisode, currency: string): string {
  const worst = worst_day && `Worst day ${day(worst_day.date)}: ${change(worst_day.pnl, currency)}`;
  return [worst, source && `Dates: ${source}`].filter(Boolean).join(' · ');
}

function change(pnl: number | null, currency: string): string {
  return signed(pnl, (amount) => wholeMoney(amount, currency));
}

type Shown = Pick<StressEpisode, 'key' | 'name' | 'pnl' | 'fraction' | 'positions'>;

function figures(shown: Shown, currency: string, scale: Scale) {
  const { key, name, pnl, fraction, positions } = shown;
  return {
    key,
    name,
    pnl,
    amount: change(pnl, currency),
    share: fraction === null ? '' : signed(fraction, (share) => percent(share, 1)),
    bar: bar(pnl, scale),
    positions: positions
      .filter((position) => position.pnl !== null)
      .sort((a, b) => Math.abs(b.pnl!) - Math.abs(a.pnl!)),
  };
}

export const BASIS_NAMES: Record<StressPosition['basis'], string> = {
  history: 'own prices',
  beta: 'by beta',
  none: 'missing',
};

export interface ShockRow {
  key: string;
  name: string;
  volatility: string;
  var95: string;
  var99: string;
}

/** The figures if volatility or correlations were others than today. */
export function shockRows(stress: Stress): ShockRow[] {
  return [...stress.volatility, ...stress.correlation].map((shock) => ({
    key: shock.key,
    name: shock.name,
    volatility: percent(shock.annualized_volatility),
    var95: percent(shock.var_95_1d),
    var99: percent(shock.var_99_1d),
  }));
}

/** Every episode and market move, for the table and the file. */
export function stressTable(stress: Stress, currency: string): PlainTable {
  return {
    columns: ['Scenario', 'P&L', 'Of value', 'Worst day', 'Own prices', 'By beta', 'Missing'],
    rows: [
      ...stress.episodes.map((episode) => [
        episode.name,
        episode.pnl,
        episode.fraction,
        episode.worst_day?.pnl ?? null,
        episode.own,
        episode.by_beta,
        episode.missing,
      ]),
      ...stress.factors.map(({ name, pnl, fraction }) => [
        name,
        pnl,
        fraction,
        null,
        null,
        null,
        null,
      ]),
    ],
    format: (value, column) =>
      column === 1 || column === 3
        ? wholeMoney(value, currency)
        : percent(value, column === 2 ? 1 : 0),
  };
}
