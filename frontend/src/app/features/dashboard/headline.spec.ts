import { HistoryRow, Portfolio, Risk } from '../../core/api/types';
import { Headline } from '../../core/live/portfolio-feed';
import { confidenceOf, leadFigures, lineRows, rowBefore } from './headline';

function row(snapshot_id: number, as_of: string, computed_at: string): HistoryRow {
  return { snapshot_id, as_of, computed_at, nav: '1' } as HistoryRow;
}

const MONDAY = row(1, '2022-12-26', '2022-12-26T22:00:00Z');
const TUESDAY = row(2, '2022-12-27', '2022-12-27T22:00:00Z');
const WEDNESDAY = row(3, '2022-12-28', '2022-12-28T22:00:00Z');
const WEDNESDAY_LATER = row(4, '2022-12-28', '2022-12-28T23:00:00Z');

describe('history', () => {
  it('compares with the last snapshot of an earlier price day', () => {
    const before = rowBefore([WEDNESDAY_LATER, WEDNESDAY, TUESDAY, MONDAY], '2022-12-28', 4);
    expect(before).toEqual({ row: TUESDAY, earlierDay: true });
  });

  it('compares with the snapshot before where all are of one day', () => {
    const before = rowBefore([WEDNESDAY_LATER, WEDNESDAY], '2022-12-28', 4);
    expect(before).toEqual({ row: WEDNESDAY, earlierDay: false });
    expect(rowBefore([WEDNESDAY], '2022-12-28', 3)).toBeNull();
  });

  it('draws one point a day once there are three days', () => {
    expect(lineRows([WEDNESDAY_LATER, WEDNESDAY, TUESDAY, MONDAY])).toEqual([
      MONDAY,
      TUESDAY,
      WEDNESDAY_LATER,
    ]);
    expect(lineRows([WEDNESDAY_LATER, WEDNESDAY])).toEqual([WEDNESDAY, WEDNESDAY_LATER]);
  });
});

describe('history before the first price', () => {
  it('is left out', () => {
    const unpriced = { ...row(1, '', '2022-12-28T21:00:00Z'), as_of: null, nav: '0' };
    expect(lineRows([WEDNESDAY, unpriced])).toEqual([WEDNESDAY]);
    expect(rowBefore([WEDNESDAY, unpriced], '2022-12-28', 3)).toBeNull();
  });
});

describe('leadFigures', () => {
  const HEADLINE: Headline = {
    nav: 1000,
    annualizedVolatility: 0.2,
    var95: 0.02,
    es95: 0.03,
    computedAt: '2026-03-31T14:00:00Z',
    revision: 2,
  };
  const SNAPSHOT = {
    as_of: '2022-12-28',
    positions: [{}],
    var_99_1d: 0.04,
    es_99_1d: 0.05,
    amounts: null,
  } as unknown as Risk;

  it('takes the event’s figures at 95 %, and the snapshot’s where events carry none', () => {
    expect(leadFigures('95', HEADLINE, SNAPSHOT).var).toEqual({ share: 0.02, amount: 20 });
    expect(leadFigures('99', HEADLINE, SNAPSHOT).es).toEqual({ share: 0.05, amount: 50 });
  });

  it('has amounts alone where shares of value would say nothing', () => {
    const amounts = { var_95_1d: 30, es_95_1d: 40, annualized_volatility: 100 };
    const snapshot = { ...SNAPSHOT, amounts } as Risk;
    const headline = { ...HEADLINE, nav: -5, var95: null, es95: null };
    expect(leadFigures('95', headline, snapshot).var).toEqual({ share: null, amount: 30 });
  });

  it('claims no value of zero where nothing has a price', () => {
    const snapshot = { ...SNAPSHOT, as_of: null } as Risk;
    expect(leadFigures('95', { ...HEADLINE, nav: 0 }, snapshot).nav).toBeNull();
    expect(leadFigures('95', { ...HEADLINE, nav: 0 }, SNAPSHOT).nav).toBe(0);
  });

  it('reads the confidence however the number is written, and falls back to 95', () => {
    const of = (risk_confidence: string) => confidenceOf({ risk_confidence } as Portfolio);
    expect([of('95.0'), of('97.5'), of('99'), of('42')]).toEqual(['95', '97.5', '99', '95']);
  });
});
