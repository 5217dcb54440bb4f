import {
  NO_FIGURE,
  age,
  compactMoney,
  day,
  exact,
  fixed,
  money,
  percent,
  signed,
  useLocale,
  wholeMoney,
} from './format';

beforeEach(() => useLocale('en-US'));

describe('figures', () => {
  it('writes exact decimals without passing them through a float', () => {
    expect(money('9007199254740993.01', 'USD')).toBe('$9,007,199,254,740,993.01');
    expect(exact('0.1234567891')).toBe('0.1234567891');
    expect(exact('18009', 2)).toBe('18,009.00');
  });

  it('uses a true minus sign, and none for what rounds to zero', () => {
    expect(money('-2443', 'USD')).toBe('\u2212$2,443.00');
    expect(fixed(-0.001)).toBe('0.00');
    expect(percent(-0.0199)).toBe('\u22121.99%');
  });

  it('puts a plus in front of gains only', () => {
    const whole = (value: Parameters<typeof wholeMoney>[0]) => wholeMoney(value, 'USD');
    expect(signed('19610.8', whole)).toBe('+$19,611');
    expect(signed('-1811', whole)).toBe('\u2212$1,811');
    expect(signed('0', whole)).toBe('$0');
    expect(signed(null, whole)).toBe(NO_FIGURE);
  });

  it('is compact from a million on only', () => {
    expect(compactMoney('172587.60', 'USD')).toBe('$172,588');
    expect(compactMoney('1240000', 'USD')).toBe('$1.24M');
    expect(compactMoney('-1240000', 'USD')).toBe('\u2212$1.24M');
  });

  it('never shows NaN or a silent zero for a figure that is not there', () => {
    for (const missing of [null, undefined, '', NaN, Infinity]) {
      expect(percent(missing)).toBe(NO_FIGURE);
    }
  });

  it('follows the locale', () => {
    useLocale('de-DE');
    expect(money('1234.5', 'EUR')).toBe('1.234,50\u00a0€');
  });
});

describe('times', () => {
  it('reads a date as that day, in every time zone', () => {
    expect(day('2022-12-28')).toBe('Dec 28, 2022');
  });

  it('says ages in the largest unit that fits', () => {
    expect(age(-50)).toBe('0 s');
    expect(age(59_400)).toBe('59 s');
    expect(age(60_000)).toBe('1 min');
    expect(age(3 * 3_600_000)).toBe('3 h');
    expect(age(72 * 3_600_000)).toBe('3 days');
  });
});
