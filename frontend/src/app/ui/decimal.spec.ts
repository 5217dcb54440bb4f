import { add, multiply, negate, parseDecimal } from './decimal';

describe('parseDecimal', () => {
  it.each([
    ['12.5', 'en-US', '12.5'],
    ['1,250.75', 'en-US', '1250.75'],
    [' 1 250 ', 'en-US', '1250'],
    ['.5', 'en-US', '0.5'],
    ['007', 'en-US', '7'],
    ['\u22123', 'en-US', '-3'],
    ['+3', 'en-US', '3'],
    ['1.250,75', 'de-DE', '1250.75'],
    ['12,5', 'de-DE', '12.5'],
    ['12.5', 'de-DE', '12.5'],
    ['1.250', 'de-DE', '1250'],
    ['1\u202f250,5', 'fr-FR', '1250.5'],
    ['1’250.5', 'de-CH', '1250.5'],
    ['123456789012345678901234567890.12', 'en-US', '123456789012345678901234567890.12'],
  ])('reads %s in %s as %s', (typed, locale, value) => {
    expect(parseDecimal(typed, locale)).toBe(value);
  });

  it.each(['', 'abc', '1,5', '1,23,456', '1e5', 'NaN', 'Infinity', '--1', '1.2.3', '0x10'])(
    'does not guess what %s means',
    (typed) => expect(parseDecimal(typed, 'en-US')).toBeNull(),
  );
});

describe('arithmetic', () => {
  it('is exact', () => {
    expect(multiply('0.1', '0.2')).toBe('0.02');
    expect(multiply('-300', '123.17')).toBe('-36951');
    expect(multiply('123456789.123456789', '1000000000')).toBe('123456789123456789');
    expect(add('0.1', '0.2')).toBe('0.3');
    expect(add('36951', '-1.5')).toBe('36949.5');
  });

  it('has no negative zero', () => {
    expect(negate('0')).toBe('0');
    expect(negate('-4.5')).toBe('4.5');
    expect(multiply('-0.0', '5')).toBe('0');
  });
});
