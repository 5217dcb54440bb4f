import { Interval, RiskMethod, Spread } from '../../core/api/types';
import { exact, percent, wholeMoney } from '../../ui/format';

/** How far the methods lie apart on one figure, in a sentence; null where it is not known. */
export function spreadOf(
  found: Spread | null | undefined,
  names: Record<RiskMethod, string>,
): string | null {
  if (!found) return null;
  const { low, high, low_method, high_method, spread } = found;
  const apart = spread === null ? '' : `: ${percent(spread, 0)} of the figure that leads`;
  return `VaR lies between ${percent(low)} (${names[low_method]}) and ${percent(high)} (${names[high_method]})${apart}`;
}

/** Two figures that carry no more digits than an estimate has: $3,140 and $3,920. */
export function between(
  interval: Interval | null | undefined,
  currency: string,
): { low: string; high: string } | null {
  if (!interval || interval.low === null || interval.high === null) return null;
  const step = roundingStep(interval.high - interval.low);
  const write = (amount: number) => wholeMoney(Math.round(amount / step) * step, currency);
  return { low: write(interval.low), high: write(interval.high) };
}

/** A power of ten that leaves the width of an interval two digits, and at least one. */
function roundingStep(width: number): number {
  return width > 0 ? Math.max(1, 10 ** (Math.floor(Math.log10(width)) - 1)) : 1;
}

/** 1.83–2.21%: an interval of shares of value. */
export function shareBetween(interval: Interval | null | undefined): string {
  if (!interval || interval.low === null || interval.high === null) return '';
  return `${exact(Number((interval.low * 100).toFixed(2)), 2)}–${percent(interval.high)}`;
}
