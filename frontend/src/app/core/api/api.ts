import { Injectable, inject } from '@angular/core';

import type * as api from './generated';
import { Http } from './http';
import type {
  EntryInput,
  Portfolio,
  PortfolioInput,
  PriceDetail,
  PriceStanding,
  Risk,
  Token,
  TokenCreate,
} from './types';

/** Trades on one page of the list. */
const TRADES = 20;
/** Snapshots of history: as many as a line can show, even when many are of one day. */
const SNAPSHOTS = 500;
const PRICES = 500;

interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** Every request the page makes, one method each. */
@Injectable({ providedIn: 'root' })
export class Api {
  private readonly http = inject(Http);

  me(): Promise<api.Me> {
    return this.http.send<api.GetMeData, api.Me>('GET', '/api/me', {});
  }

  signIn(email: string, password: string): Promise<api.Me> {
    const body = { email, password };
    return this.http.send<api.SignInData, api.Me>('POST', '/api/session', { body });
  }

  redeemLink(token: string): Promise<api.Me> {
    const body = { token };
    return this.http.send<api.RedeemSignInLinkData, api.Me>('POST', '/api/session/link', { body });
  }

  signOut(): Promise<unknown> {
    return this.http.send<api.SignOutData, unknown>('DELETE', '/api/session', {});
  }

  portfolios(): Promise<Portfolio[]> {
    return all((cursor) =>
      this.http.send<api.ListPortfoliosData, api.PortfolioPage>('GET', '/api/portfolios', {
        query: { cursor },
      }),
    );
  }

  createPortfolio(body: PortfolioInput): Promise<Portfolio> {
    return this.http.send<api.CreatePortfolioData, Portfolio>('POST', '/api/portfolios', {
      body,
    });
  }

  changePortfolio(portfolio_id: number, body: Partial<PortfolioInput>): Promise<Portfolio> {
    const url = '/api/portfolios/{portfolio_id}';
    const path = { portfolio_id };
    return this.http.send<api.ChangePortfolioData, Portfolio>('PATCH', url, { path, body });
  }

  deletePortfolio(portfolio_id: number): Promise<unknown> {
    const url = '/api/portfolios/{portfolio_id}';
    return this.http.send<api.DeletePortfolioData, unknown>('DELETE', url, {
      path: { portfolio_id },
    });
  }

  /** One page of trades, the latest execution first. */
  trades(portfolio_id: number, cursor?: string): Promise<api.TradePage> {
    const url = '/api/portfolios/{portfolio_id}/trades';
    return this.http.send<api.ListTradesData, api.TradePage>('GET', url, {
      path: { portfolio_id },
      query: { cursor, limit: TRADES },
    });
  }

  /** The same key with the same body books once, however often it is sent. */
  bookTrade(portfolio_id: number, body: EntryInput, key: string): Promise<api.BookedTrade> {
    const url = '/api/portfolios/{portfolio_id}/trades';
    return this.http.send<api.CreateTradeData, api.BookedTrade>('POST', url, {
      path: { portfolio_id },
      headers: { 'Idempotency-Key': key },
      body,
    });
  }

  changeTrade(portfolio_id: number, trade_id: number, body: api.TradeChange): Promise<unknown> {
    const url = '/api/portfolios/{portfolio_id}/trades/{trade_id}';
    const path = { portfolio_id, trade_id };
    return this.http.send<api.ChangeTradeData, unknown>('PATCH', url, { path, body });
  }

  deleteTrade(portfolio_id: number, trade_id: number): Promise<unknown> {
    const url = '/api/portfolios/{portfolio_id}/trades/{trade_id}';
    const path = { portfolio_id, trade_id };
    return this.http.send<api.DeleteTradeData, unknown>('DELETE', url, { path });
  }

  /** Read a file without booking it; `mapping` says what is to be known of it. */
  tryImport(portfolio_id: number, file: File, mapping: ImportMapping): Promise<api.ImportResult> {
    return this.sendFile(portfolio_id, file, mapping, true, null);
  }

  /** Book a file: all of it, or the rows of some lines. */
  bookImport(
    portfolio_id: number,
    file: File,
    mapping: ImportMapping,
    lines: number[] | null,
  ): Promise<api.ImportResult> {
    return this.sendFile(portfolio_id, file, mapping, false, lines);
  }

  imports(portfolio_id: number): Promise<api.TradeImportPage> {
    const url = '/api/portfolios/{portfolio_id}/imports';
    return this.http.send<api.ListImportsData, api.TradeImportPage>('GET', url, {
      path: { portfolio_id },
    });
  }

  takeBackImport(portfolio_id: number, import_id: number): Promise<api.TakenBack> {
    const url = '/api/portfolios/{portfolio_id}/imports/{import_id}';
    const path = { portfolio_id, import_id };
    return this.http.send<api.DeleteImportData, api.TakenBack>('DELETE', url, { path });
  }

  /** Who changed or removed which entry, the newest first; those of one entry where it is named. */
  changes(
    portfolio_id: number,
    trade_id: number | null,
    cursor?: string,
  ): Promise<api.RecordedChangePage> {
    const query = { cursor };
    if (trade_id === null) {
      const url = '/api/portfolios/{portfolio_id}/trades/changes';
      const parts = { path: { portfolio_id }, query };
      return this.http.send<api.ListChangesData, api.RecordedChangePage>('GET', url, parts);
    }
    const url = '/api/portfolios/{portfolio_id}/trades/{trade_id}/changes';
    const parts = { path: { portfolio_id, trade_id }, query };
    return this.http.send<api.ListChangesOfTradeData, api.RecordedChangePage>('GET', url, parts);
  }

  holdings(portfolio_id: number): Promise<api.Holdings> {
    const url = '/api/portfolios/{portfolio_id}/holdings';
    return this.http.send<api.ListHoldingsData, api.Holdings>('GET', url, {
      path: { portfolio_id },
    });
  }

  /** The newest snapshot, or null when it is still the one with this tag. */
  risk(portfolio_id: number, etag: string | null) {
    const url = '/api/portfolios/{portfolio_id}/risk';
    return this.http.getIfChanged<api.GetRiskData, Risk>(url, { portfolio_id }, etag);
  }

  /** What past crises and market moves would do to today's positions, as stored with the snapshot. */
  stress(portfolio_id: number, signal?: AbortSignal): Promise<api.Stress> {
    const url = '/api/portfolios/{portfolio_id}/risk/stress';
    const path = { portfolio_id };
    return this.http.send<api.GetRiskStressData, api.Stress>('GET', url, { path }, signal);
  }

  /** Why the figures changed since the snapshot before. */
  explain(portfolio_id: number, signal?: AbortSignal): Promise<api.Explain> {
    const url = '/api/portfolios/{portfolio_id}/risk/explain';
    const path = { portfolio_id };
    return this.http.send<api.GetRiskExplanationData, api.Explain>('GET', url, { path }, signal);
  }

  backtest(portfolio_id: number, signal?: AbortSignal): Promise<api.Backtest> {
    const url = '/api/portfolios/{portfolio_id}/risk/backtest';
    const path = { portfolio_id };
    return this.http.send<api.GetBacktestData, api.Backtest>('GET', url, { path }, signal);
  }

  /** Have the backtest computed anew; the answer of `backtest` follows when it is done. */
  wantBacktest(portfolio_id: number): Promise<api.BacktestWanted> {
    const url = '/api/portfolios/{portfolio_id}/risk/backtest';
    const path = { portfolio_id };
    return this.http.send<api.RequestBacktestData, api.BacktestWanted>('POST', url, { path });
  }

  /** What trades would do to the figures; books nothing. */
  preview(
    portfolio_id: number,
    body: api.PreviewRequest,
    signal?: AbortSignal,
  ): Promise<api.Preview> {
    const url = '/api/portfolios/{portfolio_id}/risk/preview';
    const parts = { path: { portfolio_id }, body };
    return this.http.send<api.PreviewRiskData, api.Preview>('POST', url, parts, signal);
  }

  recompute(portfolio_id: number): Promise<api.Recompute> {
    const url = '/api/portfolios/{portfolio_id}/risk/recompute';
    return this.http.send<api.RecomputeRiskData, api.Recompute>('POST', url, {
      path: { portfolio_id },
    });
  }

  history(portfolio_id: number): Promise<api.HistoryPage> {
    const url = '/api/portfolios/{portfolio_id}/risk/history';
    return this.http.send<api.ListRiskHistoryData, api.HistoryPage>('GET', url, {
      path: { portfolio_id },
      query: { limit: SNAPSHOTS },
    });
  }

  /** Returns from the close of `from` on; without it, from the first entry on. */
  performance(
    portfolio_id: number,
    from: string | undefined,
    signal?: AbortSignal,
  ): Promise<api.Performance> {
    const url = '/api/portfolios/{portfolio_id}/performance';
    const parts = { path: { portfolio_id }, query: { from } };
    return this.http.send<api.GetPerformanceData, api.Performance>('GET', url, parts, signal);
  }

  /** How the prices stand that the reader's portfolios rest on. */
  prices(): Promise<PriceStanding[]> {
    return all((cursor) =>
      this.http.send<api.ListPricesData, api.PriceStandingPage>('GET', '/api/prices', {
        query: { cursor, limit: PRICES },
      }),
    );
  }

  price(ticker: string): Promise<PriceDetail> {
    const url = '/api/prices/{ticker}';
    return this.http.send<api.GetPriceData, PriceDetail>('GET', url, { path: { ticker } });
  }

  /** Say what a bar that is held back is. */
  decidePrice(
    ticker: string,
    day: string,
    decision: api.HeldDecision['decision'],
  ): Promise<PriceDetail> {
    const url = '/api/prices/{ticker}/held/{day}';
    const parts = { path: { ticker, day }, body: { decision } };
    return this.http.send<api.DecideHeldPriceData, PriceDetail>('POST', url, parts);
  }

  refreshPrice(ticker: string): Promise<api.PriceRefresh> {
    const url = '/api/prices/{ticker}/refresh';
    return this.http.send<api.RefreshPriceData, api.PriceRefresh>('POST', url, {
      path: { ticker },
    });
  }

  tokens(): Promise<Token[]> {
    return all((cursor) =>
      this.http.send<api.ListTokensData, api.TokenPage>('GET', '/api/tokens', {
        query: { cursor },
      }),
    );
  }

  createToken(body: TokenCreate): Promise<api.NewToken> {
    return this.http.send<api.CreateTokenData, api.NewToken>('POST', '/api/tokens', { body });
  }

  revokeToken(token_id: number): Promise<unknown> {
    const url = '/api/tokens/{token_id}';
    return this.http.send<api.RevokeTokenData, unknown>('DELETE', url, { path: { token_id } });
  }

  private sendFile(
    portfolio_id: number,
    file: File,
    mapping: ImportMapping,
    dry_run: boolean,
    lines: number[] | null,
  ): Promise<api.ImportResult> {
    const body = new FormData();
    body.set('file', file);
    body.set('mapping', JSON.stringify(mapping));
    if (lines) body.set('rows', JSON.stringify(lines));
    const url = '/api/portfolios/{portfolio_id}/trades/import';
    const parts = { path: { portfolio_id }, query: { dry_run }, body: body as never };
    return this.http.send<api.ImportTradesData, api.ImportResult>('POST', url, parts);
  }
}

/** What the reader says of a file: its column for each of ours, and tickers for what it calls otherwise. */
export interface ImportMapping {
  columns: Record<string, string>;
  symbols: Record<string, string>;
}

/** Follow a list's cursors to its end; for lists that are short by nature. */
async function all<T>(read: (cursor?: string) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await read(cursor);
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return items;
}
