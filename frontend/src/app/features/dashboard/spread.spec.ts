import { Spread } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import { METHOD_NAMES } from './method-names';
import { between, shareBetween, spreadOf } from './spread';

beforeEach(() => useLocale('en-US'));

describe('spread of the methods', () => {
  const APART: Spread = {
    low: 0.018,
    low_method: 'ewma',
    high: 0.0215,
    high_method: 'student_t',
    spread: 0.18,
  };

  it('names the lowest and the highest', () => {
    expect(spreadOf(APART, METHOD_NAMES)).toBe(
      'VaR lies between 1.80% (EWMA, λ 0.94) and 2.15% (Student-t covariance): 18% of the figure that leads',
    );
  });

  it('says nothing where it is not known', () => {
    expect(spreadOf(null, METHOD_NAMES)).toBeNull();
    expect(spreadOf({ ...APART, spread: null }, METHOD_NAMES)).not.toContain('leads');
  });
});

describe('intervals', () => {
  it('carry no more digits than an estimate has', () => {
    expect(between({ low: 3141.59, high: 3926.53 }, 'USD')).toEqual({
      low: '$3,140',
      high: '$3,930',
    });
    expect(between({ low: 41.2, high: 44.9 }, 'USD')).toEqual({ low: '$41', high: '$45' });
    expect(between({ low: 1_234_567, high: 2_345_678 }, 'USD')?.low).toBe('$1,200,000');
  });

  it('are left out where an end is missing', () => {
    expect(between({ low: null, high: 1 }, 'USD')).toBeNull();
    expect(between(undefined, 'USD')).toBeNull();
    expect(shareBetween({ low: 0.0183, high: null })).toBe('');
    expect(shareBetween({ low: 0.0183, high: 0.0221 })).toBe('1.83–2.21%');
  });
});
