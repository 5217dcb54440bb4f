import { DestroyRef, Injectable, computed, inject, signal } from '@angular/core';

import { Api } from '../api/api';
import { Problem, toProblem } from '../api/problem';
import {
  Failure,
  HistoryRow,
  Holding,
  Progress,
  ProgressEvent,
  QuoteEvent,
  Risk,
  RiskEvent,
} from '../api/types';
import { LiveQuotes } from './live-quotes';
import { LiveSocket, OPEN_LIVE_SOCKET } from './socket';

/** How the page learns of changes: pushed, asked for every few seconds, or not at all. */
export type Connection = 'connecting' | 'live' | 'polling' | 'offline';

/** Without a push, ask this often; with one, only to make sure that none was missed. */
const POLL_MS = 4_000;
const POLL_WHEN_LIVE_MS = 60_000;

/** The headline as the newest event or snapshot gives it, whichever is newer. */
export interface Headline {
  nav: number | null;
  annualizedVolatility: number | null;
  var95: number | null;
  es95: number | null;
  computedAt: string | null;
  revision: number;
}

/** The headline that a snapshot carries. */
export function headlineOf(risk: Risk): Headline {
  return {
    nav: risk.nav === null ? null : Number(risk.nav),
    annualizedVolatility: risk.annualized_volatility,
    var95: risk.var_95_1d,
    es95: risk.es_95_1d,
    computedAt: risk.computed_at,
    revision: risk.revision,
  };
}

/**
 * One portfolio's figures, kept current while its page is open.
 *
 * A `risk` event changes the headline at once; the whole snapshot follows by GET. After every (re)connection the
 * subscription is made anew and the state read again, so whatever was missed meanwhile does not matter.
 */
@Injectable()
export class PortfolioFeed {
  private readonly api = inject(Api);
  private readonly openSocket = inject(OPEN_LIVE_SOCKET);

  private id: number | null = null;
  private etag: string | null = null;
  private socket: LiveSocket | null = null;
  /** Whether the server has agreed to push; a socket alone is not enough. */
  private subscribed = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private refreshing: Promise<void> | null = null;
  private askedAgain = false;

  private readonly quotes = new LiveQuotes();
  private readonly snapshotOf = signal<Risk | null>(null);
  private readonly event = signal<RiskEvent | null>(null);
  private readonly progressOf = signal<Progress | null>(null);
  private readonly holdingsOf = signal<Holding[]>([]);
  private readonly historyOf = signal<HistoryRow[]>([]);
  private readonly connectionOf = signal<Connection>('connecting');
  private readonly problemOf = signal<Problem | null>(null);

  /** The newest full snapshot; null until the first answer. */
  readonly snapshot = this.snapshotOf.asReadonly();
  readonly holdings = this.holdingsOf.asReadonly();
  readonly history = this.historyOf.asReadonly();
  readonly connection = this.connectionOf.asReadonly();
  readonly progress = this.progressOf.asReadonly();
  /** Why the last read failed; null after one that worked. */
  readonly problem = this.problemOf.asReadonly();
  readonly state = computed(() => this.newerEvent()?.state ?? this.snapshotOf()?.state ?? null);
  readonly failure = computed<Failure | null>(() => this.snapshotOf()?.failure ?? null);
  readonly headline = computed<Headline | null>(() => {
    const event = this.newerEvent();
    if (event) {
      return {
        nav: event.nav,
        annualizedVolatility: event.annualized_volatility,
        var95: event.var_95_1d,
        es95: event.es_95_1d,
        computedAt: event.computed_at,
        revision: event.revision,
      };
    }
    const snapshot = this.snapshotOf();
    return snapshot && headlineOf(snapshot);
  });

  /** What the newest snapshot's positions are worth at live prices; null where there are none to be trusted. */
  readonly live = computed<QuoteEvent | null>(() => {
    const quote = this.quotes.held();
    const newest = this.newerEvent()?.snapshot_id ?? this.snapshotOf()?.snapshot_id;
    return quote && quote.snapshot_id === newest ? quote : null;
  });

  private readonly newerEvent = computed(() => {
    const event = this.event();
    const held = this.snapshotOf()?.snapshot_id ?? -1;
    return event && event.snapshot_id > held ? event : null;
  });

  private readonly wake = () => {
    if (document.visibilityState === 'visible') void this.refresh();
  };

  constructor() {
    addEventListener('online', this.wake);
    addEventListener('offline', this.wake);
    document.addEventListener('visibilitychange', this.wake);
    inject(DestroyRef).onDestroy(() => this.close());
  }

  /** Show this portfolio from now on. */
  async open(id: number): Promise<void> {
    if (this.id !== null) this.socket?.emit('unsubscribe', { portfolio_id: this.id });
    this.id = id;
    this.etag = null;
    this.snapshotOf.set(null);
    this.event.set(null);
    this.quotes.drop();
    this.progressOf.set(null);
    this.holdingsOf.set([]);
    this.historyOf.set([]);
    await this.refresh();
    if (this.socket?.connected) this.subscribe();
    else if (!this.socket) await this.connect();
  }

  /** Read the snapshot again; cheap when nothing changed. Several calls at once make at most two requests. */
  refresh(): Promise<void> {
    if (this.refreshing) this.askedAgain = true;
    else this.refreshing = this.readUntilCurrent().finally(() => (this.refreshing = null));
    return this.refreshing;
  }

  /** Have the figures computed anew. */
  async recompute(): Promise<void> {
    if (this.id === null) return;
    await this.api.recompute(this.id);
    await this.refresh();
  }

  private close(): void {
    clearTimeout(this.timer);
    removeEventListener('online', this.wake);
    removeEventListener('offline', this.wake);
    document.removeEventListener('visibilitychange', this.wake);
    this.socket?.disconnect();
    this.quotes.drop();
    this.id = null;
  }

  private async readUntilCurrent(): Promise<void> {
    do {
      this.askedAgain = false;
      await this.read();
    } while (this.askedAgain);
    this.scheduleNext();
  }

  private async read(): Promise<void> {
    const id = this.id;
    if (id === null) return;
    try {
      const answer = await this.api.risk(id, this.etag);
      if (this.id !== id) return;
      this.problemOf.set(null);
      this.connectionOf.set(this.subscribed ? 'live' : this.socket ? 'polling' : 'connecting');
      if (answer) await this.take(id, answer.body, answer.etag);
    } catch (error) {
      if (this.id !== id) return;
      const problem = toProblem(error);
      this.problemOf.set(problem);
      if (problem.isTemporary) this.connectionOf.set('offline');
    }
  }

  private async take(id: number, risk: Risk, etag: string | null): Promise<void> {
    const before = this.snapshotOf();
    if (before?.snapshot_id && (risk.snapshot_id ?? 0) < before.snapshot_id) return;
    this.etag = etag;
    this.snapshotOf.set(risk);
    this.progressOf.set(risk.state === 'computing' ? (risk.progress ?? this.progressOf()) : null);
    if (before && before.snapshot_id === risk.snapshot_id && before.revision === risk.revision)
      return;
    const [holdings, history] = await Promise.allSettled([
      this.api.holdings(id),
      this.api.history(id),
    ]);
    if (this.id !== id) return;
    if (holdings.status === 'fulfilled') this.holdingsOf.set(holdings.value.items);
    if (history.status === 'fulfilled') this.historyOf.set(history.value.items);
  }

  private scheduleNext(): void {
    clearTimeout(this.timer);
    if (this.id === null) return;
    const settled = this.connectionOf() === 'live' && this.state() === 'fresh';
    this.timer = setTimeout(
      () => {
        // After a refusal or a disconnection by the server the client does not try again by itself.
        if (this.socket && !this.socket.active) this.socket.connect();
        if (document.visibilityState === 'visible') void this.refresh();
        else this.scheduleNext();
      },
      settled ? POLL_WHEN_LIVE_MS : POLL_MS,
    );
  }

  private async connect(): Promise<void> {
    try {
      this.socket = await this.openSocket();
    } catch {
      // The chunk did not load: polling goes on, and the chip says so.
      this.connectionOf.set('polling');
      return;
    }
    if (this.id === null) return;
    this.socket.on('connect', () => this.subscribe());
    this.socket.on('disconnect', () => this.lost());
    this.socket.on('connect_error', () => this.lost());
    this.socket.on('risk', (event: RiskEvent) => this.onRisk(event));
    this.socket.on('progress', (event: ProgressEvent) => this.onProgress(event));
    this.socket.on('prices', (event: QuoteEvent) => this.onPrices(event));
    this.socket.connect();
  }

  private subscribe(): void {
    const id = this.id;
    this.socket?.emit('subscribe', { portfolio_id: id }, (answer) => {
      if (this.id !== id) return;
      const refused = typeof answer === 'object' && answer !== null && 'detail' in answer;
      if (refused) return this.lost();
      this.subscribed = true;
      this.connectionOf.set('live');
      void this.refresh();
    });
  }

  private lost(): void {
    this.subscribed = false;
    this.quotes.drop();
    if (this.id === null) return;
    if (this.connectionOf() !== 'offline') this.connectionOf.set('polling');
    void this.refresh();
  }

  private onRisk(event: RiskEvent): void {
    if (event.portfolio_id !== this.id) return;
    this.progressOf.set(null);
    if (event.snapshot_id > (this.event()?.snapshot_id ?? -1)) this.event.set(event);
    void this.refresh();
  }

  private onProgress(event: ProgressEvent): void {
    if (event.portfolio_id !== this.id) return;
    this.progressOf.set({ stage: event.stage, fraction: event.fraction });
    if (this.snapshotOf()?.state !== 'computing') void this.refresh();
  }

  private onPrices(event: QuoteEvent): void {
    if (event.portfolio_id === this.id) this.quotes.take(event);
  }
}
