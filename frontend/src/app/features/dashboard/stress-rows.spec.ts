import { Stress, StressEpisode } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import {
  basisOf,
  episodeRows,
  factorRows,
  shockRows,
  stressScale,
  stressTable,
} from './stress-rows';

beforeEach(() => useLocale('en-US'));

function episode(given: Partial<StressEpisode>): StressEpisode {
  return {
    key: 'covid',
    name: 'Covid',
    from: '2020-02-19',
    to: '2020-03-23',
    source: 'S&P 500, peak to trough',
    pnl: -300,
    fraction: -0.3,
    worst_day: null,
    own: 1,
    by_beta: 0,
    missing: 0,
    positions: [],
    ...given,
  };
}

/** Of a shock, what the panel does not show. */
const OTHERS = { es_95_1d: null, var_975_1d: null, es_975_1d: null, es_99_1d: null };

const STRESS: Stress = {
  snapshot_id: 1,
  as_of: '2022-12-28',
  base_currency: 'USD',
  nav: 1000,
  episodes: [episode({}), episode({ key: 'x', pnl: null, fraction: null, own: 0, missing: 1 })],
  factors: [{ key: 'up', name: 'Market +10%', shock: 0.1, pnl: 100, fraction: 0.1, positions: [] }],
  volatility: [
    {
      key: 'v2',
      name: 'Volatility × 2',
      multiplier: 2,
      ...OTHERS,
      annualized_volatility: 0.4,
      var_95_1d: 0.04,
      var_99_1d: 0.06,
    },
  ],
  correlation: [
    {
      key: 'one',
      name: 'Correlations to one',
      ...OTHERS,
      annualized_volatility: 0.3,
      var_95_1d: null,
      var_99_1d: 0.05,
    },
  ],
  warnings: [],
};

describe('stress', () => {
  it('draws episodes and market moves on one scale, losses left of zero', () => {
    const scale = stressScale(STRESS);
    const [covid] = episodeRows(STRESS, scale, 'USD');
    const [up] = factorRows(STRESS, scale, 'USD');
    expect(covid.bar).toEqual({ left: 0, width: 75 });
    expect(up.bar).toEqual({ left: 75, width: 25 });
    expect([covid.amount, covid.share]).toEqual(['−$300', '−30.0%']);
    expect([up.amount, up.share]).toEqual(['+$100', '+10.0%']);
  });

  it('says what rests on own prices, on beta, on nothing', () => {
    expect(basisOf({ own: 1, by_beta: 0, missing: 0 })).toBe('');
    expect(basisOf({ own: 0.84, by_beta: 0.12, missing: 0.04 })).toBe(
      '84% by its own prices of then · 12% by beta · 4% missing',
    );
    expect(basisOf({ own: 0, by_beta: 1, missing: 0 })).toBe('100% by beta');
    const rows = episodeRows(STRESS, stressScale(STRESS), 'USD');
    expect(rows.map(({ estimated }) => estimated)).toEqual([false, true]);
  });

  it('claims no figure for an episode that nothing is known of', () => {
    const [, unknown] = episodeRows(STRESS, stressScale(STRESS), 'USD');
    expect([unknown.amount, unknown.share, unknown.bar.width]).toEqual(['–', '', 0]);
  });

  it('opens on the positions that moved most, those without a figure left out', () => {
    const positions = [
      { ticker: 'A', pnl: -1, basis: 'history' as const },
      { ticker: 'B', pnl: 5, basis: 'beta' as const },
      { ticker: 'C', pnl: null, basis: 'none' as const },
    ];
    const stress = { ...STRESS, episodes: [episode({ positions })] };
    const [row] = episodeRows(stress, stressScale(stress), 'USD');
    expect(row.positions.map(({ ticker }) => ticker)).toEqual(['B', 'A']);
  });

  it('tells the worst day, and where the dates come from', () => {
    const worst_day = { date: '2020-03-16', pnl: -120 };
    const stress = { ...STRESS, episodes: [episode({ worst_day })] };
    const [row] = episodeRows(stress, stressScale(stress), 'USD');
    expect(row.details).toBe('Worst day Mar 16, 2020: −$120 · Dates: S&P 500, peak to trough');
    expect(stressTable(stress, 'USD').rows[0][3]).toBe(-120);
  });

  it('shows figures under other volatility and correlation', () => {
    expect(shockRows(STRESS).map(({ name, var95, var99 }) => [name, var95, var99])).toEqual([
      ['Volatility × 2', '4.00%', '6.00%'],
      ['Correlations to one', '–', '5.00%'],
    ]);
  });

  it('gives a row of the file for every episode and market move', () => {
    const { columns, rows } = stressTable(STRESS, 'USD');
    expect(rows.map((row) => row.length)).toEqual([columns.length, columns.length, columns.length]);
    expect(rows[0]).toEqual(['Covid', -300, -0.3, null, 1, 0, 0]);
  });
});
