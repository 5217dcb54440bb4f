/** The API's objects by the names the page uses; their shapes are generated from api/openapi.json. */
import type * as api from './generated';
import type { PortfolioCreate, RiskPosition, TradeCreate } from './generated';

export type {
  Backtest,
  BacktestScores,
  Correlation,
  Coverage,
  Distribution,
  Explain,
  Failure,
  HistoryRow,
  Holding,
  Holdings,
  ImportResult,
  Interval,
  Me,
  MethodFigures,
  NewToken,
  Performance,
  Portfolio,
  Preview,
  PreviewFigures,
  PreviewRequest,
  PriceDetail,
  PriceStanding,
  Progress,
  ReadRow,
  RecordedChange,
  Risk,
  RiskGroup,
  ServedDay,
  Spread,
  Stress,
  StressEpisode,
  StressPosition,
  TailFigures,
  Token,
  TokenCreate,
  Trade,
  TradeImport,
} from './generated';

export type Position = RiskPosition;
export type Cause = api.Explain['order'][number];
export type RiskState = api.Risk['state'];
/** VaR and ES of one day, at each confidence. */
export type TailFigure = keyof api.TailFigures;
export type RiskMethod = api.Portfolio['risk_method'];
export type Covariance = api.Portfolio['risk_covariance'];
export type PortfolioInput = PortfolioCreate;

/** An entry to be booked; exact decimals go out as strings. */
export type EntryInput = TradeCreate;

/** A trade of shares to be booked. */
export type TradeInput = Pick<EntryInput, 'external_id' | 'note'> & {
  ticker: string;
  quantity: string;
  price: string;
  fee?: string;
  currency?: string;
  executed_at?: string;
};

/** An entry of shares: a quantity at a price. */
export type ShareTrade = api.Trade & { ticker: string; quantity: string; price: string };
/** An entry of cash that came or went. */
export type CashType = Extract<
  api.Trade['type'],
  'dividend' | 'interest' | 'deposit' | 'withdrawal' | 'fee' | 'tax'
>;

export function isOfShares(trade: api.Trade): trade is ShareTrade {
  return trade.quantity !== null;
}

/** A snapshot was stored. Socket.IO events stand in no OpenAPI document; docs/architecture.md has them. */
export interface RiskEvent {
  portfolio_id: number;
  snapshot_id: number;
  revision: number;
  state: RiskState;
  annualized_volatility: number | null;
  var_95_1d: number | null;
  es_95_1d: number | null;
  nav: number | null;
  computed_at: string;
}

/** A longer computation goes on. */
export interface ProgressEvent {
  portfolio_id: number;
  stage: string;
  fraction: number;
}

/** What a portfolio is worth at live prices: all of it each time, never stored, and sent only where quotes are on. */
export interface QuoteEvent {
  portfolio_id: number;
  /** The snapshot whose positions these are. */
  snapshot_id: number;
  /** The newest stored close, which `pnl` counts from. */
  close_day: string | null;
  nav: string;
  pnl: string;
  pnl_fraction: number | null;
  annualized_volatility: number | null;
  var_95_1d: number | null;
  es_95_1d: number | null;
  var_975_1d: number | null;
  es_975_1d: number | null;
  var_99_1d: number | null;
  es_99_1d: number | null;
  amounts: Record<string, number> | null;
  /** Those with a live price or a live exchange rate. */
  positions: { ticker: string; state: string; reason: string | null }[];
  feed: {
    state: 'live' | 'stale' | 'connecting' | 'closed';
    message: string;
    last_tick_at: string | null;
  };
  at: string;
}
