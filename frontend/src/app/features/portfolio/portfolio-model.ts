import { Covariance, Portfolio, PortfolioInput, RiskMethod } from '../../core/api/types';
import { percent } from '../../ui/format';

/** A portfolio's settings as they are typed. */
export interface PortfolioModel {
  name: string;
  benchmark: string;
  method: RiskMethod;
  covariance: Covariance;
  window: string;
  confidence: string;
  costBasis: CostBasis;
  cash: CashTracking;
}

type CostBasis = Portfolio['cost_basis'];
type CashTracking = Portfolio['cash_tracking'];

export const NEW_PORTFOLIO: PortfolioModel = {
  name: '',
  benchmark: '^GSPC',
  method: 'filtered',
  covariance: 'sample',
  window: '500',
  confidence: '95',
  costBasis: 'average',
  cash: 'auto',
};

/** A choice with what it means in one line. */
export interface Choice<T extends string> {
  value: T;
  name: string;
  about: string;
}

export const METHODS: readonly Choice<RiskMethod>[] = [
  {
    value: 'filtered',
    name: 'Filtered historical',
    about: 'Past days rescaled to today’s volatility; the best calibrated of the five',
  },
  {
    value: 'historical',
    name: 'Historical simulation',
    about: 'Past days as they were; slow to notice that markets have changed',
  },
  {
    value: 'ewma',
    name: 'EWMA covariance, λ 0.94',
    about: 'Normal returns, recent days weigh more; quick, but too low in the tail',
  },
  {
    value: 'student_t',
    name: 'Student-t covariance',
    about: 'The window’s covariances with the fat tails of six degrees of freedom',
  },
  {
    value: 'covariance',
    name: 'Covariance, normal',
    about: 'The window’s covariances, normal returns; understates large losses',
  },
];

export const COVARIANCES: readonly Choice<Covariance>[] = [
  {
    value: 'sample',
    name: 'Sample',
    about: 'As measured in the window; right where days far outnumber positions',
  },
  {
    value: 'ledoit_wolf',
    name: 'Ledoit-Wolf',
    about: 'Drawn towards a simpler matrix; steadier with many positions or few days',
  },
];

export const CONFIDENCES: readonly { value: string; name: string }[] = [
  { value: '95', name: `${percent(0.95, 0)} (1 day in 20)` },
  { value: '97.5', name: `${percent(0.975, 1)} (1 day in 40)` },
  { value: '99', name: `${percent(0.99, 0)} (1 day in 100)` },
];

export const COST_BASES: readonly Choice<CostBasis>[] = [
  { value: 'average', name: 'Average cost', about: 'A sale is a part of all shares held' },
  { value: 'fifo', name: 'First in, first out', about: 'A sale is of the shares held longest' },
];

export const CASH: readonly Choice<CashTracking>[] = [
  {
    value: 'auto',
    name: 'Automatic',
    about: 'Cash counts once a deposit or withdrawal is booked',
  },
  { value: 'on', name: 'Counts', about: 'Cash is part of the value; purchases are paid from it' },
  { value: 'off', name: 'Does not count', about: 'The value is that of the positions alone' },
];

/** Names of the API's fields in the form's words, for errors. */
export const FIELD_OF: Record<string, keyof PortfolioModel> = {
  name: 'name',
  benchmark: 'benchmark',
  risk_method: 'method',
  risk_covariance: 'covariance',
  risk_window: 'window',
  risk_confidence: 'confidence',
  cost_basis: 'costBasis',
  cash_tracking: 'cash',
};

export function fromPortfolio(portfolio: Portfolio): PortfolioModel {
  return {
    name: portfolio.name,
    benchmark: portfolio.benchmark ?? '',
    method: portfolio.risk_method,
    covariance: portfolio.risk_covariance,
    window: String(portfolio.risk_window),
    confidence: String(Number(portfolio.risk_confidence)),
    costBasis: portfolio.cost_basis,
    cash: portfolio.cash_tracking,
  };
}

export function toInput(model: PortfolioModel): PortfolioInput {
  return {
    name: model.name.trim(),
    benchmark: model.benchmark.trim().toUpperCase() || null,
    risk_method: model.method,
    risk_covariance: model.covariance,
    risk_window: Number(model.window),
    risk_confidence: model.confidence as PortfolioInput['risk_confidence'],
    cost_basis: model.costBasis,
    cash_tracking: model.cash,
  };
}

/** Only what differs, so that a setting the page does not know stays as it is. */
export function changes(portfolio: Portfolio, model: PortfolioModel): Partial<PortfolioInput> {
  const before = toInput(fromPortfolio(portfolio));
  const after = toInput(model);
  const names = Object.keys(after) as (keyof PortfolioInput)[];
  return Object.fromEntries(
    names.filter((name) => after[name] !== before[name]).map((name) => [name, after[name]]),
  );
}
