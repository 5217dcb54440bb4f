import { beginning } from './periods';

describe('beginning', () => {
  it('counts back from the last day with prices', () => {
    expect(beginning('month', '2022-12-28')).toBe('2022-11-28');
    expect(beginning('year', '2022-12-28')).toBe('2021-12-28');
    expect(beginning('all', '2022-12-28')).toBeUndefined();
  });

  it('begins a year at the close of the year before', () => {
    expect(beginning('ytd', '2022-12-28')).toBe('2021-12-31');
    expect(beginning('ytd', '2023-01-02')).toBe('2022-12-31');
  });

  it('ends at the end of months that are shorter', () => {
    expect(beginning('month', '2023-01-31')).toBe('2022-12-31');
    expect(beginning('month', '2023-03-31')).toBe('2023-02-28');
    expect(beginning('year', '2024-02-29')).toBe('2023-02-28');
  });
});
