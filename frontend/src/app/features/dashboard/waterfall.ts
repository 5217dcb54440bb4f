import { Cause, Explain } from '../../core/api/types';
import { NO_FIGURE, fixed, percent, signed, wholeMoney } from '../../ui/format';
import { Confidence, tailOf } from './headline';

export const CAUSE_NAMES: Record<Cause, string> = {
  corrections: 'Corrections',
  trades: 'Trades',
  prices: 'Prices',
  volatility: 'Volatility',
  correlation: 'Correlation',
};

export interface Step {
  id: string;
  name: string;
  /** A figure, as before and now, or a step from one to the other. */
  whole: boolean;
  value: number | null;
  text: string;
  /** Where its bar begins and how long it is, in percent of the row; a figure is a mark without length. */
  left: number;
  width: number;
  rises: boolean;
}

export interface Explained {
  key: string;
  name: string;
}

/** The figures that the page leads with, as far as they have been taken apart. */
export function explainedFigures(explain: Explain, confidence: Confidence): Explained[] {
  const tail = tailOf(confidence);
  const leading: Explained[] = [
    { key: `var_${tail}_1d`, name: `VaR ${confidence}` },
    { key: `es_${tail}_1d`, name: `ES ${confidence}` },
    { key: 'annualized_volatility', name: 'Volatility' },
    { key: 'nav', name: 'Value' },
  ];
  return leading.filter(({ key }) => explain.figures[key]?.parts);
}

/**
 * A figure's way from before to now, cause by cause in the order in which they were taken apart.
 *
 * The scale spans the way alone: beside the whole figure, a step of a hundredth would be invisible.
 */
export function waterfall(explain: Explain, key: string, currency: string): Step[] {
  const figure = explain.figures[key];
  if (!figure?.parts || figure.previous === null || figure.current === null) return [];
  const { previous, current, parts } = figure;
  let at = previous;
  const spans = explain.order.map((cause) => {
    const from = at;
    at += parts[cause];
    return { cause, from, to: at };
  });
  const ends = [previous, current, ...spans.map(({ to }) => to)];
  const low = Math.min(...ends);
  const span = Math.max(...ends) - low || 1;
  const place = (value: number) => ((value - low) / span) * 100;
  const write = WRITERS[figure.unit];
  const whole = (id: string, name: string, value: number): Step => ({
    id,
    name,
    whole: true,
    value,
    text: write.whole(value, currency),
    left: place(value),
    width: 0,
    rises: false,
  });
  return [
    whole('previous', 'Before', previous),
    ...spans.map(({ cause, from, to }) => ({
      id: cause,
      name: CAUSE_NAMES[cause],
      whole: false,
      value: parts[cause],
      text: write.step(parts[cause], currency),
      left: place(Math.min(from, to)),
      width: (Math.abs(to - from) / span) * 100,
      rises: to > from,
    })),
    whole('current', 'Now', current),
  ];
}

type Writer = (value: number | null, currency: string) => string;

const WRITERS: Record<'fraction' | 'currency', { whole: Writer; step: Writer }> = {
  fraction: {
    whole: (value) => percent(value),
    step: (value) =>
      value === null ? NO_FIGURE : `${signed(value * 100, (points) => fixed(points))} pts`,
  },
  currency: {
    whole: (value, currency) => wholeMoney(value, currency),
    step: (value, currency) => signed(value, (amount) => wholeMoney(amount, currency)),
  },
};
