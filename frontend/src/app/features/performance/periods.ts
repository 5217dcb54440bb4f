/** The periods a return can be asked for. */
export type Period = 'month' | 'ytd' | 'year' | 'all';

export const PERIODS: readonly { period: Period; label: string; name: string }[] = [
  { period: 'month', label: '1M', name: 'One month' },
  { period: 'ytd', label: 'YTD', name: 'Since the year began' },
  { period: 'year', label: '1Y', name: 'One year' },
  { period: 'all', label: 'All', name: 'Since the first entry' },
];

/**
 * The day at whose close a period begins; undefined: at the first entry.
 *
 * Counted back from the last day that has prices, so that a month is one of prices wherever they end.
 */
export function beginning(period: Period, lastDay: string): string | undefined {
  const [year, month, date] = lastDay.split('-').map(Number);
  switch (period) {
    case 'month':
      return iso(year, month - 1, date);
    case 'ytd':
      return iso(year - 1, 12, 31);
    case 'year':
      return iso(year - 1, month, date);
    case 'all':
      return undefined;
  }
}

/** A date of the calendar; months may be 0 or 13, and 31 April is the last of April. */
function iso(year: number, month: number, date: number): string {
  const lastOfMonth = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const day = new Date(Date.UTC(year, month - 1, Math.min(date, lastOfMonth)));
  return day.toISOString().slice(0, 10);
}
