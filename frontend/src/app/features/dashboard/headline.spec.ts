import { HistoryRow } from '../../core/api/types';
import { lineRows, rowBefore } from './headline';

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
