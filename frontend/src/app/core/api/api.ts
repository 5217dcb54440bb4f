import { Injectable, inject } from '@angular/core';

import type * as api from './generated';
import { Http } from './http';
import type { Portfolio, PortfolioInput, Token, TokenCreate, TradeInput } from './types';

/** Trades on one page of the list. */
const TRADES = 20;
/** Snapshots of history: as many as a line can show, even when many are of one day. */
const SNAPSHOTS = 500;

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
    return this.http.send<api.CreatePortfolioData, Portfolio>('POST', '/api/portfolios', { body });
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
  bookTrade(portfolio_id: number, body: TradeInput, key: string): Promise<api.BookedTrade> {
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

  holdings(portfolio_id: number): Promise<api.Holdings> {
    const url = '/api/portfolios/{portfolio_id}/holdings';
    return this.http.send<api.ListHoldingsData, api.Holdings>('GET', url, {
      path: { portfolio_id },
    });
  }

  /** The newest snapshot, or null when it is still the one with this tag. */
  risk(portfolio_id: number, etag: string | null) {
    const url = '/api/portfolios/{portfolio_id}/risk';
    return this.http.getIfChanged<api.GetRiskData, api.Risk>(url, { portfolio_id }, etag);
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
