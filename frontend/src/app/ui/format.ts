/**
 * Numbers, money and times in the reader's locale, with a true minus sign.
 *
 * Exact decimals arrive as strings and are formatted as strings, so that no digit passes through a float.
 */

export const NO_FIGURE = '–';

type Amount = number | string | null | undefined;

/** The reader's locale; a function so that tests can pin one. */
let locale = typeof navigator === 'undefined' ? 'en-US' : navigator.language;

export function useLocale(tag: string): void {
  locale = tag;
  formatters.clear();
}

export function currentLocale(): string {
  return locale;
}

const formatters = new Map<string, Intl.NumberFormat>();

function formatter(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  let found = formatters.get(key);
  if (!found) formatters.set(key, (found = new Intl.NumberFormat(locale, options)));
  return found;
}

function write(value: Amount, options: Intl.NumberFormatOptions): string {
  if (value === null || value === undefined || value === '') return NO_FIGURE;
  if (typeof value === 'number' && !Number.isFinite(value)) return NO_FIGURE;
  // Intl takes decimal strings exactly (ES2023); the cast is for the older type of its parameter.
  return trueMinus(formatter({ signDisplay: 'negative', ...options }).format(value as number));
}

const trueMinus = (text: string) => text.replace('-', '\u2212');

/** $172,587.60 */
export function money(value: Amount, currency: string): string {
  return write(value, { style: 'currency', currency });
}

/** $172,588: for figures of a size where cents say nothing. */
export function wholeMoney(value: Amount, currency: string): string {
  return write(value, { style: 'currency', currency, maximumFractionDigits: 0 });
}

/** $1.24M from a million on, whole units below: for tiles and axes. */
export function compactMoney(value: Amount, currency: string): string {
  if (Math.abs(Number(value)) < 1_000_000) return wholeMoney(value, currency);
  return write(value, {
    style: 'currency',
    currency,
    notation: 'compact',
    minimumFractionDigits: 2,
    maximumFractionDigits: 2,
  });
}

/** A fraction as a percentage: 0.0199 → 1.99%. */
export function percent(value: Amount, digits = 2): string {
  return write(value, {
    style: 'percent',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** A number with a fixed count of decimals. */
export function fixed(value: Amount, digits = 2): string {
  return write(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A quantity or price with all its decimals and at least `least` of them. */
export function exact(value: Amount, least = 0): string {
  return write(value, { minimumFractionDigits: least, maximumFractionDigits: 10 });
}

/** The same figure with its sign in front, plus or minus; zero has none. */
export function signed(value: Amount, as: (value: Amount) => string): string {
  const text = as(value);
  return Number(value) > 0 && text !== NO_FIGURE ? `+${text}` : text;
}

/** 28 Dec 2022, from an ISO date or time. */
export function day(iso: string | null | undefined): string {
  if (!iso) return NO_FIGURE;
  const dateOnly = iso.length === 10;
  return new Intl.DateTimeFormat(locale, {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    timeZone: dateOnly ? 'UTC' : undefined,
  }).format(new Date(dateOnly ? `${iso}T00:00:00Z` : iso));
}

/** 28 Dec, for a date that is not long ago. */
export function dayOfYear(isoDate: string): string {
  return new Intl.DateTimeFormat(locale, {
    day: 'numeric',
    month: 'short',
    timeZone: 'UTC',
  }).format(new Date(`${isoDate}T00:00:00Z`));
}

/** 28 Dec 2022, 14:05 in the reader's time zone. */
export function moment(iso: string | null | undefined): string {
  if (!iso) return NO_FIGURE;
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(
    new Date(iso),
  );
}

/** 14:05 */
export function clockTime(iso: string): string {
  return new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' }).format(
    new Date(iso),
  );
}

/** How long ago, in the largest unit that fits: 3 s, 4 min, 2 h, 5 days. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}
