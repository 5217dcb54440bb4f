import { Position, Risk, RiskGroup } from '../../core/api/types';
import { UNLABELLED, bar, groupingsOf, scaleOf, shares } from './shares';

function position(ticker: string, weight: number | null, es: number | null): Position {
  return {
    ticker,
    quantity: '1',
    currency: 'USD',
    rate: '1',
    price: null,
    price_date: null,
    price_source: null,
    market_value: null,
    weight,
    volatility: null,
    beta: null,
    component_volatility: es,
    component_var_95: es,
    component_es_975: es,
    marginal_var_95: null,
    status: es === null ? 'pending' : 'modelled',
    reason: null,
  };
}

describe('shares', () => {
  it('shares the risk out so that it adds up to one, the largest first', () => {
    // Tail components of the reference portfolio, docs/risk-methods.md.
    const parts = [0.007890722, 0.006540481, 0.003223039, 0.006889875, 0.002748966];
    const positions = ['AAPL', 'MSFT', 'JPM', 'XOM', 'KO'].map((t, i) =>
      position(t, 0.2, parts[i]),
    );
    const rows = shares({ positions }, 'es');
    expect(rows.map((row) => row.name)).toEqual(['AAPL', 'XOM', 'MSFT', 'JPM', 'KO']);
    expect(rows.reduce((sum, row) => sum + row.ofRisk!, 0)).toBeCloseTo(1, 12);
    expect(rows[0].ofRisk).toBeCloseTo(0.2891, 4);
  });

  it('keeps a hedge negative and puts positions without figures last', () => {
    const positions = [
      position('NEW', null, null),
      position('HEDGE', -0.2, -0.5),
      position('A', 1.2, 1.5),
    ];
    const rows = shares({ positions }, 'es');
    expect(rows.map((row) => [row.name, row.ofRisk])).toEqual([
      ['A', 1.5],
      ['HEDGE', -0.5],
      ['NEW', null],
    ]);
  });

  it('invents no shares where there is no risk', () => {
    expect(shares({ positions: [position('A', 1, 0)] }, 'es')[0].ofRisk).toBeNull();
  });
});

describe('groups', () => {
  function group(label: string | null, weight: number, es: number): RiskGroup {
    return {
      label,
      market_value: weight * 1000,
      weight,
      component_volatility: es,
      component_var_95: es,
      component_es_975: es,
      positions: 2,
    };
  }
  const RISK = {
    positions: [position('A', 1, 0.03)],
    by_currency: [group('EUR', 0.25, 0.03), group('USD', 0.75, 0.01)],
    by_label: { sector: [group('Energy', 0.4, 0.05), group(null, 0.6, -0.01)], asset_class: [] },
  } satisfies Pick<Risk, 'positions' | 'by_currency' | 'by_label'>;

  it('share the same risk out by currency or label', () => {
    const byCurrency = shares(RISK, 'es', 'currency');
    expect(byCurrency.map(({ name, ofRisk }) => [name, ofRisk])).toEqual([
      ['EUR', 0.75],
      ['USD', 0.25],
    ]);
    const bySector = shares(RISK, 'var', 'sector');
    expect(bySector.map(({ name }) => name)).toEqual(['Energy', UNLABELLED]);
    expect(bySector[1].ofRisk).toBeCloseTo(-0.25, 12);
  });

  it('are offered where the snapshot tells them', () => {
    expect(groupingsOf(RISK)).toEqual(['position', 'sector', 'currency']);
    expect(groupingsOf({ positions: [] })).toEqual(['position']);
    const unlabelled = { sector: [group(null, 1, 1)] };
    expect(groupingsOf({ positions: [], by_label: unlabelled })).toEqual(['position']);
  });
});

describe('bars', () => {
  it('start at zero, which is always in sight', () => {
    const scale = scaleOf([0.5, 0.25]);
    expect(bar(0.5, scale)).toEqual({ left: 0, width: 100 });
    expect(bar(0.25, scale)).toEqual({ left: 0, width: 50 });
  });

  it('lie left of zero for hedges, on the same scale', () => {
    const scale = scaleOf([-0.25, 0.75]);
    expect(bar(-0.25, scale)).toEqual({ left: 0, width: 25 });
    expect(bar(0.75, scale)).toEqual({ left: 25, width: 75 });
    expect(bar(null, scale)).toEqual({ left: 25, width: 0 });
  });
});
