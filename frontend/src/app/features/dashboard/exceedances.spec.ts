import { BacktestScores, ServedDay } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import {
  countSentence,
  exceededDays,
  hasLiveSeries,
  liveCount,
  liveSeries,
  storedSeries,
  verdict,
} from './exceedances';

beforeEach(() => useLocale('en-US'));

function scores(given: Partial<BacktestScores>): BacktestScores {
  return { n: 500, exceedances: 25, kupiec_p: 1, independence_p: 1, ...given } as BacktestScores;
}

function servedDay(day: string, pnl: number): ServedDay {
  return {
    day,
    as_of: day,
    method: 'filtered',
    pnl,
    var_95_1d: 0.02,
    var_99_1d: 0.03,
    es_975_1d: 0.035,
    exceeded_95: pnl < -0.02,
    exceeded_99: pnl < -0.03,
  };
}

function served(days: ServedDay[]) {
  return { n: days.length, exceedances: 3, rate: 0.1, exceedances_99: 1, rate_99: 0.02, days };
}

describe('exceedances', () => {
  it('are told against what was to be expected', () => {
    expect(countSentence(500, 27, '95')).toBe(
      'the loss exceeded VaR 95% on 27 of 500 days (5.40%); 25 were to be expected.',
    );
    expect(countSentence(60, 1, '97.5')).toContain('(1.67%); 1.5 were to be expected');
  });

  it('say in words what the tests say', () => {
    expect(verdict(scores({ kupiec_p: 0.42, independence_p: 0.31 }), '95')).toBe(
      'The count fits the confidence (Kupiec, p 0.42). They come singly (Christoffersen, p 0.31).',
    );
    expect(verdict(scores({ exceedances: 50, kupiec_p: 0.0001 }), '95')).toContain(
      'too often: the figure is too low (Kupiec, p under 0.001)',
    );
    expect(verdict(scores({ exceedances: 8, kupiec_p: 0.01 }), '95')).toContain('too seldom');
    expect(verdict(scores({ independence_p: 0.01 }), '99')).toContain('come in clusters');
    expect(verdict(scores({ independence_p: null }), '99')).toContain('too few to tell');
  });

  it('are the days whose loss is beyond VaR, not those at it', () => {
    const pnl = [-0.03, -0.02, 0.05, -0.0201];
    expect(exceededDays({ dates: [], pnl, atRisk: [0.02, 0.02, 0.02, 0.02] })).toEqual([0, 3]);
  });

  it('are counted of all served days, also of those no longer listed', () => {
    const live = { ...served([servedDay('2026-11-20', 0.01)]), n: 1200 };
    expect(liveCount(live, '95')).toEqual({ n: 1200, exceedances: 3 });
    expect(liveCount(live, '99')).toEqual({ n: 1200, exceedances: 1 });
  });
});

describe('the picture', () => {
  it('is of served days once there are twenty', () => {
    const days = Array.from({ length: 20 }, (_, i) =>
      servedDay(`2026-11-${String(i + 1).padStart(2, '0')}`, i / 1000),
    );
    expect(hasLiveSeries({ live: served(days) })).toBe(true);
    expect(hasLiveSeries({ live: served(days.slice(1)) })).toBe(false);
    const series = liveSeries(days, '99');
    expect([series.dates[0], series.dates.length]).toEqual(['2026-11-01', 20]);
    expect([series.pnl[19], series.atRisk[19]]).toEqual([0.019, 0.03]);
  });

  it('is of the last thousand days of a stored backtest', () => {
    const numbers = Array.from({ length: 1200 }, (_, i) => i);
    const series = {
      dates: numbers.map(String),
      pnl: numbers,
      var_95_1d: numbers,
      var_99_1d: numbers,
    };
    const drawn = storedSeries({ series }, '95');
    expect([drawn.dates.length, drawn.dates[0], drawn.pnl[0]]).toEqual([1000, '200', 200]);
    expect(storedSeries({ series: null }, '95').dates).toEqual([]);
  });
});
