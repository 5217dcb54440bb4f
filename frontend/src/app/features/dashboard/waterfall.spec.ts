import { Explain } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import { Confidence } from './headline';
import { explainedFigures, waterfall } from './waterfall';

beforeEach(() => useLocale('en-US'));

const EXPLAIN: Explain = {
  snapshot_id: 2,
  previous_snapshot_id: 1,
  from: '2026-11-20T22:00:00Z',
  to: '2026-11-23T22:00:00Z',
  base_currency: 'USD',
  amounts: {},
  order: ['corrections', 'trades', 'prices', 'volatility', 'correlation'],
  figures: {
    nav: {
      unit: 'currency',
      previous: 1000,
      current: 1100,
      change: 100,
      parts: { corrections: 0, trades: 150, prices: -50, volatility: 0, correlation: 0 },
    },
    var_95_1d: {
      unit: 'fraction',
      previous: 0.02,
      current: 0.024,
      change: 0.004,
      parts: { corrections: 0, trades: 0.003, prices: 0, volatility: 0.001, correlation: 0 },
    },
    es_975_1d: { unit: 'fraction', previous: null, current: 0.03, change: null, parts: null },
  },
  sentence: null,
  warnings: [],
};

describe('waterfall', () => {
  it('leads from before to now, each step beginning where the last ended', () => {
    const steps = waterfall(EXPLAIN, 'nav', 'USD');
    expect(steps.map(({ id }) => id)).toEqual(['previous', ...EXPLAIN.order, 'current']);
    const [before, , trades, prices, , , now] = steps;
    expect([before.left, trades.left, trades.left + trades.width]).toEqual([0, 0, 100]);
    expect(prices.left + prices.width).toBeCloseTo(100, 9);
    expect(now.left).toBeCloseTo(prices.left, 9);
    expect([trades.rises, prices.rises]).toEqual([true, false]);
  });

  it('writes money as money and shares as points', () => {
    const text = (key: string) => waterfall(EXPLAIN, key, 'USD').map((step) => step.text);
    expect(text('nav')).toEqual(['$1,000', '$0', '+$150', '−$50', '$0', '$0', '$1,100']);
    expect(text('var_95_1d').slice(0, 3)).toEqual(['2.00%', '0.00 pts', '+0.30 pts']);
  });

  it('draws nothing where nothing moved, and where a figure is missing', () => {
    const { nav } = EXPLAIN.figures;
    const still = {
      ...nav,
      current: 1000,
      change: 0,
      parts: { corrections: 0, trades: 0, prices: 0, volatility: 0, correlation: 0 },
    };
    const steps = waterfall({ ...EXPLAIN, figures: { nav: still } }, 'nav', 'USD');
    expect(steps.every(({ left, width }) => left === 0 && width === 0)).toBe(true);
    expect(waterfall(EXPLAIN, 'es_975_1d', 'USD')).toEqual([]);
  });

  it('offers the leading figures that were taken apart', () => {
    const keys = (confidence: Confidence) =>
      explainedFigures(EXPLAIN, confidence).map(({ key }) => key);
    expect(keys('95')).toEqual(['var_95_1d', 'nav']);
    expect(keys('97.5')).toEqual(['nav']);
  });
});
