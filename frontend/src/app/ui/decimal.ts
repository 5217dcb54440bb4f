/** Exact decimals as text: what people type, and what the API takes and gives. */

const CANONICAL = /^-?\d+(\.\d+)?$/;

/**
 * Read a number as it is typed in `locale`; null where it is none.
 *
 * Spaces and group separators may stand where they belong. A point is always understood as the decimal sign
 * unless it stands like the locale's group separator, because many people type it on a number pad.
 */
export function parseDecimal(typed: string, locale: string): string | null {
  const parts = new Intl.NumberFormat(locale).formatToParts(-1234567.5);
  const group = parts.find((part) => part.type === 'group')?.value ?? ',';
  const decimal = parts.find((part) => part.type === 'decimal')?.value ?? '.';
  let text = typed.trim().replace(/[\s\u00a0\u202f'’]/g, '');
  text = text.replace(/^[\u2212\u2013-]/, '-').replace(/^\+/, '');
  const separator = group.trim() === '' ? '' : group;
  if (separator && isGrouped(text, separator, decimal)) text = text.replaceAll(separator, '');
  if (decimal !== '.') text = text.replace(decimal, '.');
  if (text.startsWith('.')) text = `0${text}`;
  if (text.startsWith('-.')) text = `-0${text.slice(1)}`;
  text = text.replace(/\.$/, '');
  return CANONICAL.test(text) ? text.replace(/^(-?)0+(?=\d)/, '$1') : null;
}

function isGrouped(text: string, group: string, decimal: string): boolean {
  const [whole, ...rest] = text.replace('-', '').split(decimal);
  if (rest.length > 1) return false;
  const runs = whole.split(group);
  return (
    runs.length > 1 && /^\d{1,3}$/.test(runs[0]) && runs.slice(1).every((r) => /^\d{3}$/.test(r))
  );
}

/** The exact product of two canonical decimals. */
export function multiply(a: string, b: string): string {
  const [left, right] = [scaled(a), scaled(b)];
  return unscaled(left.digits * right.digits, left.scale + right.scale);
}

/** The exact sum of two canonical decimals. */
export function add(a: string, b: string): string {
  const [left, right] = [scaled(a), scaled(b)];
  const scale = Math.max(left.scale, right.scale);
  const up = (n: { digits: bigint; scale: number }) => n.digits * 10n ** BigInt(scale - n.scale);
  return unscaled(up(left) + up(right), scale);
}

/** The same decimal with the other sign. */
export function negate(value: string): string {
  if (value.startsWith('-')) return value.slice(1);
  return /^0+(\.0+)?$/.test(value) ? value : `-${value}`;
}

function scaled(value: string): { digits: bigint; scale: number } {
  const [whole, fraction = ''] = value.split('.');
  return { digits: BigInt(whole + fraction), scale: fraction.length };
}

function unscaled(digits: bigint, scale: number): string {
  const sign = digits < 0n ? '-' : '';
  const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
  const whole = text.slice(0, text.length - scale);
  const fraction = text.slice(text.length - scale).replace(/0+$/, '');
  return sign + whole + (fraction && `.${fraction}`);
}
