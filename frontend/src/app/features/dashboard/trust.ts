import { Coverage, Risk } from '../../core/api/types';
import { percent } from '../../ui/format';

/**
 * What of the portfolio the figures leave out or estimate, in one sentence; null when they cover all of it.
 *
 * Shares are of gross exposure.
 */
export function coverageSentence(coverage: Coverage | null | undefined): string | null {
  if (!coverage || coverage.modelled === null || coverage.modelled >= 0.99995) return null;
  const parts = [
    `The figures rest on full price histories for ${percent(coverage.modelled, 1)} of the portfolio`,
  ];
  if (coverage.proxied) {
    parts.push(
      `${percent(coverage.proxied, 1)} is estimated from the benchmark because its history is short`,
    );
  }
  if (coverage.excluded) parts.push(`${percent(coverage.excluded, 1)} is left out`);
  return `${parts.join('; ')}.`;
}

/** Everything the reader should know before trusting the figures. */
export function caveats(risk: Risk): string[] {
  const coverage = coverageSentence(risk.coverage);
  const warnings = risk.warnings.map((warning) => warning.message);
  return coverage ? [coverage, ...warnings] : warnings;
}
