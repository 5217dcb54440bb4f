import { PriceDetail, PriceStanding } from '../../core/api/types';
import { needsLooking, restated } from './price-words';

const ONE: PriceDetail['restatements'][number] = {
  replaced_at: '2023-01-20T22:00:00Z',
  kind: 'restated',
  first: '2022-01-03',
  last: '2022-01-03',
  bars: 1,
  last_close: '182.01',
  snapshots: [],
};

describe('prices in words', () => {
  it('tell what was restated and what rests on it', () => {
    expect(restated(ONE)).toBe(
      '1 bar of Jan 3, 2022: other prices; none of your snapshots rests on them.',
    );
    const many = {
      ...ONE,
      kind: 'rebased' as const,
      last: '2022-02-03',
      bars: 1200,
      snapshots: [4, 5],
    };
    expect(restated(many)).toBe(
      '1,200 bars from Jan 3, 2022 to Feb 3, 2022: adjusted for a split or dividend since; 2 of your snapshots were computed before.',
    );
  });

  it('say which instruments need a look', () => {
    const standing = { state: 'ok', held: 0 } as PriceStanding;
    expect(needsLooking(standing)).toBe(false);
    expect(needsLooking({ ...standing, held: 1 })).toBe(true);
    expect(needsLooking({ ...standing, state: 'failed' })).toBe(true);
  });
});
