import { Holding } from '../../core/api/types';

/** The price sources behind a portfolio, such as `sample` or `sample, yahoo`; null before any is known. */
export function sourcesOf(holdings: readonly Holding[]): string | null {
  const names = new Set(holdings.map((holding) => holding.price_source).filter(Boolean));
  return names.size > 0 ? [...names].sort().join(', ') : null;
}
