import { Holding, Position, Risk } from '../../core/api/types';
import { shares } from './shares';

export interface HoldingRow {
  position: Position;
  holding: Holding | null;
  value: number | null;
  weight: number | null;
  gain: number | null;
  ofRisk: number | null;
  volatility: number | null;
  beta: number | null;
  /** What the reader must know about this row; null where everything is as it should be. */
  note: { kind: 'pending' | 'problem'; label: string; text: string } | null;
}

export type SortKey = 'ticker' | 'value' | 'gain' | 'volatility' | 'beta' | 'ofRisk';

/** Positions with their risk beside what they cost, in the order the reader chose. */
export function holdingRows(
  risk: Pick<Risk, 'positions'>,
  holdings: readonly Holding[],
  sort: SortKey,
  descending: boolean,
): HoldingRow[] {
  const byTicker = new Map(holdings.map((holding) => [holding.ticker, holding]));
  const riskShare = new Map(shares(risk, 'es').map((share) => [share.name, share.ofRisk]));
  const rows = risk.positions.map((position): HoldingRow => {
    const holding = byTicker.get(position.ticker) ?? null;
    return {
      position,
      holding,
      value: toNumber(position.market_value),
      weight: position.weight,
      gain: toNumber(holding?.unrealised_pnl_base ?? null),
      ofRisk: riskShare.get(position.ticker) ?? null,
      volatility: position.volatility,
      beta: position.beta,
      note: noteOf(position),
    };
  });
  return rows.sort((a, b) => order(a, b, sort, descending));
}

/** Rows without the figure come last, whichever way the rest is sorted. */
function order(a: HoldingRow, b: HoldingRow, sort: SortKey, descending: boolean): number {
  const direction = descending ? -1 : 1;
  if (sort === 'ticker') return direction * a.position.ticker.localeCompare(b.position.ticker);
  const [left, right] = [a[sort], b[sort]];
  if (left === null || right === null) return Number(left === null) - Number(right === null);
  return direction * (left - right);
}

function noteOf({ status, reason }: Position): HoldingRow['note'] {
  const text = reason ?? '';
  switch (status) {
    case 'modelled':
      return null;
    case 'pending':
      return { kind: 'pending', label: 'Fetching prices', text: '' };
    case 'unknown':
      return { kind: 'problem', label: 'Unknown ticker', text };
    case 'proxied':
      return { kind: 'pending', label: 'Short history', text };
    default:
      return { kind: 'problem', label: 'Not in the figures', text };
  }
}

function toNumber(value: string | number | null): number | null {
  return value === null ? null : Number(value);
}
