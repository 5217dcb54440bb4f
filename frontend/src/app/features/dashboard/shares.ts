import { Position, Risk, RiskGroup } from '../../core/api/types';

/** By which measure "risk" is meant when it is shared out over the positions. */
export type RiskMeasure = 'es' | 'var' | 'volatility';

/** What one row of the shares stands for: `position`, `currency`, or a kind of label such as `sector`. */
export type Grouping = string;

export interface Share {
  /** A ticker, a sector, a currency. */
  name: string;
  /** Fraction of the portfolio's value; negative for a short position. */
  ofValue: number | null;
  /** Fraction of the portfolio's risk; negative for a hedge. Adds up to 1 over all rows. */
  ofRisk: number | null;
  /** How many positions the row stands for. */
  positions: number;
}

type Parts = Pick<RiskGroup, 'component_es_975' | 'component_var_95' | 'component_volatility'>;

const COMPONENT: Record<RiskMeasure, (parts: Parts) => number | null> = {
  es: (parts) => parts.component_es_975,
  var: (parts) => parts.component_var_95,
  volatility: (parts) => parts.component_volatility,
};

export const UNLABELLED = 'No label';

interface Row extends Parts {
  name: string;
  weight: number | null;
  positions: number;
}

function rowsOf(risk: Grouped, grouping: Grouping): Row[] {
  if (grouping === 'position') {
    return risk.positions.map((position: Position) => ({
      ...position,
      name: position.ticker,
      positions: 1,
    }));
  }
  const groups = grouping === 'currency' ? risk.by_currency : risk.by_label?.[grouping];
  return (groups ?? []).map((group) => ({ ...group, name: group.label ?? UNLABELLED }));
}

export type Grouped = Pick<Risk, 'positions' | 'by_currency' | 'by_label'>;

/** The groupings that tell a portfolio's rows apart; a snapshot of before knows positions only. */
export function groupingsOf(risk: Grouped): Grouping[] {
  const isLabelled = (groups: readonly RiskGroup[] | undefined) =>
    groups?.some(({ label }) => label !== null);
  const labels = Object.entries(risk.by_label ?? {}).filter(([, groups]) => isLabelled(groups));
  return [
    'position',
    ...labels.map(([kind]) => kind),
    ...(isLabelled(risk.by_currency) ? ['currency'] : []),
  ];
}

/** Share of value beside share of risk, the largest risk first; rows without figures last. */
export function shares(
  risk: Grouped,
  measure: RiskMeasure,
  grouping: Grouping = 'position',
): Share[] {
  const component = COMPONENT[measure];
  const rows = rowsOf(risk, grouping);
  const total = rows.reduce((sum, row) => sum + (component(row) ?? 0), 0);
  return rows
    .map((row) => {
      const part = component(row);
      return {
        name: row.name,
        ofValue: row.weight,
        ofRisk: part === null || total === 0 ? null : part / total,
        positions: row.positions,
      };
    })
    .sort((a, b) => (b.ofRisk ?? -Infinity) - (a.ofRisk ?? -Infinity));
}

export interface Scale {
  /** Where zero stands, from the left, as a fraction of the width. */
  zero: number;
  /** Width of one unit as a fraction of the width. */
  unit: number;
}

/** One scale for all bars, zero always in sight. */
export function scaleOf(values: readonly (number | null)[]): Scale {
  const known = values.filter((value): value is number => value !== null);
  const low = Math.min(0, ...known);
  const high = Math.max(0, ...known);
  const span = high - low || 1;
  return { zero: Math.abs(low) / span, unit: 1 / span };
}

export interface Bar {
  left: number;
  width: number;
}

/** Left edge and width of the bar of `value`, in percent of the row; negative ones lie left of zero. */
export function bar(value: number | null, scale: Scale): Bar {
  if (value === null) return { left: scale.zero * 100, width: 0 };
  const width = Math.abs(value) * scale.unit;
  return { left: (value < 0 ? scale.zero - width : scale.zero) * 100, width: width * 100 };
}
