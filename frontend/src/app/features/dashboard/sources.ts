import { Position } from '../../core/api/types';

/** The price sources behind a snapshot, such as `sample` or `sample, yahoo`; null before any is known. */
export function sourcesOf(positions: readonly Position[]): string | null {
  const names = new Set(positions.map((position) => position.price_source).filter(Boolean));
  return names.size > 0 ? [...names].sort().join(', ') : null;
}
