import { HistoryRow, Portfolio, QuoteEvent, Risk } from '../../core/api/types';
import { Headline, headlineOf } from '../../core/live/portfolio-feed';

/** The confidence the page leads with, in percent. */
export type Confidence = '95' | '97.5' | '99';

interface Tail {
  key: '95' | '975' | '99';
  /** "On 19 of 20 days". */
  days: number;
}

const TAILS: Record<Confidence, Tail> = {
  '95': { key: '95', days: 20 },
  '97.5': { key: '975', days: 40 },
  '99': { key: '99', days: 100 },
};

/** The confidence as it stands in the names of figures: `var_975_1d`. */
export function tailOf(confidence: Confidence): Tail['key'] {
  return TAILS[confidence].key;
}

export interface LeadFigures {
  confidence: Confidence;
  days: number;
  nav: number | null;
  volatility: Figure;
  /** Losses, positive. */
  var: Figure;
  es: Figure;
}

/** A figure as a fraction of the portfolio's value and in currency; a portfolio worth nothing has only the latter. */
export interface Figure {
  share: number | null;
  amount: number | null;
}

export function confidenceOf(portfolio: Portfolio | null): Confidence {
  const wanted = String(Number(portfolio?.risk_confidence ?? 95));
  return wanted in TAILS ? (wanted as Confidence) : '95';
}

/** The figures the page leads with: the newest event's where it has them, else the snapshot's. */
export function leadFigures(
  confidence: Confidence,
  headline: Headline | null,
  snapshot: Risk | null,
): LeadFigures {
  const { key, days } = TAILS[confidence];
  const nav = valueOf(headline, snapshot);
  const amounts = snapshot?.amounts ?? null;
  const figure = (share: number | null | undefined, amount: number | null | undefined): Figure =>
    share === null || share === undefined || nav === null
      ? { share: null, amount: amount ?? null }
      : { share, amount: share * nav };
  // Events carry the 95 % figures only; the others come with the snapshot, a moment later.
  const isNinetyFive = key === '95';
  const atRisk = isNinetyFive ? headline?.var95 : snapshot?.[`var_${key}_1d`];
  const es = isNinetyFive ? headline?.es95 : snapshot?.[`es_${key}_1d`];
  return {
    confidence,
    days,
    nav,
    volatility: figure(headline?.annualizedVolatility, amounts?.annualized_volatility),
    var: figure(atRisk, amounts?.[`var_${key}_1d`]),
    es: figure(es, amounts?.[`es_${key}_1d`]),
  };
}

/** The same figures at live prices, on the weights of now. */
export function liveFigures(confidence: Confidence, quote: QuoteEvent): LeadFigures {
  const { key, days } = TAILS[confidence];
  const figure = (name: 'annualized_volatility' | `${'var' | 'es'}_${Tail['key']}_1d`): Figure => ({
    share: quote[name],
    amount: quote.amounts?.[name] ?? null,
  });
  return {
    confidence,
    days,
    nav: Number(quote.nav),
    volatility: figure('annualized_volatility'),
    var: figure(`var_${key}_1d`),
    es: figure(`es_${key}_1d`),
  };
}

/** Without a single price there is no value: a nought would be a claim. */
function valueOf(headline: Headline | null, snapshot: Risk | null): number | null {
  const nothingPriced = snapshot?.as_of === null && snapshot.positions.length > 0;
  return headline?.nav === 0 && nothingPriced ? null : (headline?.nav ?? null);
}

/** The same figures from a snapshot alone, for what is drawn from that snapshot. */
export function snapshotFigures(confidence: Confidence, risk: Risk): LeadFigures {
  return leadFigures(confidence, headlineOf(risk), risk);
}

export type Measure = 'nav' | 'volatility' | 'var' | 'es';

/** One measure of a row of history. */
export function measured(row: HistoryRow, measure: Measure, confidence: Confidence): number | null {
  const { key } = TAILS[confidence];
  if (measure === 'nav') return row.nav === null ? null : Number(row.nav);
  if (measure === 'volatility') return row.annualized_volatility;
  return (measure === 'var' ? row[`var_${key}_1d`] : row[`es_${key}_1d`]) ?? null;
}

/** Snapshots of the time before the first price hold nothing to draw or to compare with. */
function oldestFirst(history: readonly HistoryRow[]): HistoryRow[] {
  return history
    .filter((row) => row.as_of !== null)
    .sort((a, b) => a.computed_at.localeCompare(b.computed_at));
}

/** Rows for a line: the last of each price day where there are several days, else all of them. */
export function lineRows(history: readonly HistoryRow[]): HistoryRow[] {
  const rows = oldestFirst(history);
  const lastOfDay = new Map(rows.map((row) => [row.as_of, row]));
  return (lastOfDay.size >= 3 ? [...lastOfDay.values()] : rows).slice(-60);
}

export interface Before {
  row: HistoryRow;
  /** Whether it is of an earlier price day; otherwise of the same day, before the last change. */
  earlierDay: boolean;
}

/** What to compare today's figures with: the last snapshot of an earlier price day, else the one before this. */
export function rowBefore(
  history: readonly HistoryRow[],
  asOf: string | null,
  snapshotId: number | null,
): Before | null {
  const rows = oldestFirst(history);
  const earlier = rows.findLast((row) => asOf !== null && row.as_of !== null && row.as_of < asOf);
  if (earlier) return { row: earlier, earlierDay: true };
  const previous = rows.findLast((row) => row.snapshot_id < (snapshotId ?? Infinity));
  return previous ? { row: previous, earlierDay: false } : null;
}
