import { PriceDetail, PriceStanding } from '../../core/api/types';
import { needsLooking, remarksOn, restated, splitsOf } from './price-words';

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

  it('tell what is odd, and of splits whose word they are', () => {
    const remarks = [
      { code: 'held_price', message: 'held' },
      { code: 'stale_run', message: 'It has closed at 5 for six sessions.' },
    ];
    expect(remarksOn({ remarks } as unknown as PriceStanding)).toEqual([
      'It has closed at 5 for six sessions.',
    ]);
    const splits = [
      { day: '2020-08-31', ratio: '4', source: 'yahoo' },
      { day: '2014-06-09', ratio: '0.1', source: 'user' },
    ];
    expect(splitsOf({ splits } as PriceDetail)).toBe(
      'Splits: 4 for 1 on Aug 31, 2020, 0.1 for 1 on Jun 9, 2014 (entered by hand).',
    );
    expect(splitsOf({ splits: [] as typeof splits } as PriceDetail)).toBe('');
  });

  it('say which instruments need a look', () => {
    const standing = { state: 'ok', held: 0 } as PriceStanding;
    expect(needsLooking(standing)).toBe(false);
    expect(needsLooking({ ...standing, held: 1 })).toBe(true);
    expect(needsLooking({ ...standing, state: 'failed' })).toBe(true);
  });
});
