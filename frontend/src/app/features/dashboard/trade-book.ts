import { Injectable, inject, signal } from '@angular/core';

import { Api } from '../../core/api/api';
import { toProblem } from '../../core/api/problem';
import { Trade } from '../../core/api/types';
import { newIdempotencyKey } from '../../core/idempotency';
import { PortfolioFeed } from '../../core/live/portfolio-feed';

/** The open portfolio's trades, newest first, read page by page. */
@Injectable()
export class TradeBook {
  private readonly api = inject(Api);
  private readonly feed = inject(PortfolioFeed);
  private portfolioId = 0;
  private revision: number | null = null;
  private cursor: string | null = null;

  private readonly items = signal<Trade[]>([]);
  private readonly hasMoreOf = signal(false);
  private readonly problemOf = signal<string | null>(null);

  readonly trades = this.items.asReadonly();
  readonly hasMore = this.hasMoreOf.asReadonly();
  readonly problem = this.problemOf.asReadonly();

  async open(portfolioId: number): Promise<void> {
    this.portfolioId = portfolioId;
    this.revision = null;
    this.items.set([]);
    await this.read(null);
  }

  /** Read again once the portfolio has moved on from the revision that was read. */
  async follow(revision: number): Promise<void> {
    const moved = this.revision !== null && revision > this.revision;
    this.revision = revision;
    if (moved) await this.read(null);
  }

  more(): Promise<void> {
    return this.read(this.cursor);
  }

  async delete(trade: Trade): Promise<void> {
    await this.api.deleteTrade(this.portfolioId, trade.id);
    this.items.update((trades) => trades.filter(({ id }) => id !== trade.id));
    await this.feed.refresh();
  }

  /** Book a deleted entry again as it was; only its id is new. */
  async restore(trade: Trade): Promise<void> {
    const { id, import_id, created_at, updated_at, ...body } = trade;
    void [id, import_id, created_at, updated_at];
    await this.api.bookTrade(this.portfolioId, body, newIdempotencyKey());
    await this.feed.refresh();
  }

  private async read(cursor: string | null): Promise<void> {
    const id = this.portfolioId;
    try {
      const page = await this.api.trades(id, cursor ?? undefined);
      if (id !== this.portfolioId) return;
      this.items.update((trades) => (cursor ? [...trades, ...page.items] : page.items));
      this.cursor = page.next_cursor;
      this.hasMoreOf.set(page.next_cursor !== null);
      this.problemOf.set(null);
    } catch (error) {
      this.problemOf.set(toProblem(error).detail);
    }
  }
}
