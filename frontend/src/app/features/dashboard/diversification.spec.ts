import { Position, Risk } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import { diversification } from './diversification';

beforeEach(() => useLocale('en-US'));

const POSITIONS = [{}, {}, {}] as Position[];

function of(concentration: Partial<NonNullable<Risk['concentration']>> | null) {
  return diversification({
    positions: POSITIONS,
    concentration: concentration as Risk['concentration'],
  });
}

describe('diversification', () => {
  it('says what each figure means for these positions', () => {
    const found = of({ effective_positions: 2.5, effective_bets: 1.84, diversification_ratio: 2 });
    expect(found.map(({ figure }) => figure)).toEqual(['1.8', '2.00', '2.5']);
    expect(found[0].means).toContain('in 3 positions');
    expect(found[1].means).toContain('50%');
  });

  it('shows what an older snapshot knows', () => {
    const found = of({ effective_positions: 2.5, diversification_ratio: null });
    expect(found.map(({ id }) => id)).toEqual(['positions']);
    expect(of(null)).toEqual([]);
  });
});
