import { sparkPath } from './sparkline';

describe('sparkPath', () => {
  it('spans the whole width and puts the largest value on top', () => {
    expect(sparkPath([1, 3, 2])).toBe('M0.0 25.0L50.0 3.0L100.0 14.0');
  });

  it('draws a level line for a constant and a gap for a missing value', () => {
    expect(sparkPath([2, 2])).toBe('M0.0 14.0L100.0 14.0');
    expect(sparkPath([1, null, 2])).toBe('M0.0 25.0M100.0 3.0');
  });

  it('draws nothing from a single value', () => {
    expect(sparkPath([1, null])).toBe('');
  });
});
