import { Position, Risk } from '../../core/api/types';

/** By which measure "risk" is meant when it is shared out over the positions. */
export type RiskMeasure = 'es' | 'var' | 'volatility';

export interface Share {
  ticker: string;
  /** Fraction of the portfolio's value; negative for a short position. */
  ofValue: number | null;
  /** Fraction of the portfolio's risk; negative for a hedge. Adds up to 1 over all positions. */
  ofRisk: number | null;
  status: string;
  reason: string | null;
}

const COMPONENT: Record<RiskMeasure, (position: Position) => number | null> = {
  es: (position) => position.component_es_975,
  var: (position) => position.component_var_95,
  volatility: (position) => position.component_volatility,
};

/** Share of value beside share of risk, the largest risk first; positions without figures last. */
export function shares(risk: Pick<Risk, 'positions'>, measure: RiskMeasure): Share[] {
  const component = COMPONENT[measure];
  const total = risk.positions.reduce((sum, position) => sum + (component(position) ?? 0), 0);
  return risk.positions
    .map((position) => {
      const part = component(position);
      return {
        ticker: position.ticker,
        ofValue: position.weight,
        ofRisk: part === null || total === 0 ? null : part / total,
        status: position.status,
        reason: position.reason,
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
