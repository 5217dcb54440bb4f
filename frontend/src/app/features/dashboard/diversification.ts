import { Risk } from '../../core/api/types';
import { fixed, percent } from '../../ui/format';
import { TermName } from '../../ui/term';

export interface Spread {
  id: string;
  term: TermName;
  name: string;
  figure: string;
  /** What the figure says of this portfolio. */
  means: string;
}

/** How well the risk is spread, figure by figure with its meaning; empty for a snapshot that says nothing of it. */
export function diversification(risk: Pick<Risk, 'concentration' | 'positions'>): Spread[] {
  const { concentration } = risk;
  if (!concentration) return [];
  const held = risk.positions.length;
  const { effective_positions, effective_bets, diversification_ratio } = concentration;
  const found: Spread[] = [];
  if (effective_bets !== null && effective_bets !== undefined) {
    found.push({
      id: 'bets',
      term: 'effective bets',
      name: 'Effective bets',
      figure: fixed(effective_bets, 1),
      means: `independent sources of risk in ${held} ${held === 1 ? 'position' : 'positions'}`,
    });
  }
  if (diversification_ratio !== null) {
    found.push({
      id: 'ratio',
      term: 'diversification ratio',
      name: 'Diversification ratio',
      figure: fixed(diversification_ratio),
      means: `${percent(Math.max(0, 1 - 1 / diversification_ratio), 0)} of the positions’ single risks cancel out`,
    });
  }
  found.push({
    id: 'positions',
    term: 'effective positions',
    name: 'Effective positions',
    figure: fixed(effective_positions, 1),
    means: 'equal ones would be as concentrated',
  });
  return found;
}
