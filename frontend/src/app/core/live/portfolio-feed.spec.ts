import { TestBed } from '@angular/core/testing';

import { Api } from '../api/api';
import { Problem } from '../api/problem';
import { QuoteEvent, Risk, RiskEvent } from '../api/types';
import { SILENT_MS } from './live-quotes';
import { PortfolioFeed } from './portfolio-feed';
import { LiveSocket, OPEN_LIVE_SOCKET } from './socket';

class FakeSocket implements LiveSocket {
  connected = false;
  active = true;
  readonly emitted: [string, unknown][] = [];
  /** What the server answers to `subscribe`. */
  answer: unknown = { state: 'fresh' };
  private readonly listeners = new Map<string, (payload: never) => void>();

  on(event: string, listener: (payload: never) => void) {
    this.listeners.set(event, listener);
  }
  emit(event: string, payload: unknown, acknowledge?: (answer: unknown) => void) {
    this.emitted.push([event, payload]);
    acknowledge?.(this.answer);
  }
  connect() {
    this.connected = true;
    this.receive('connect');
  }
  disconnect() {
    this.connected = false;
  }
  drop({ forGood = false } = {}) {
    this.connected = false;
    this.active = !forGood;
    this.receive('disconnect', 'transport close');
  }
  receive(event: string, payload?: unknown) {
    this.listeners.get(event)?.(payload as never);
  }
}

function snapshot(id: number, change: Partial<Risk> = {}): Risk {
  return {
    portfolio_id: 7,
    snapshot_id: id,
    revision: id,
    wanted_revision: id,
    state: 'fresh',
    progress: null,
    failure: null,
    nav: '1000.00',
    annualized_volatility: 0.2,
    var_95_1d: 0.02,
    es_95_1d: 0.03,
    computed_at: '2026-03-31T14:00:00Z',
    base_currency: 'USD',
    positions: [],
    warnings: [],
    ...change,
  } as Risk;
}

function event(id: number): RiskEvent {
  return {
    portfolio_id: 7,
    snapshot_id: id,
    revision: id,
    state: 'fresh',
    annualized_volatility: 0.25,
    var_95_1d: 0.025,
    es_95_1d: 0.035,
    nav: 2000,
    computed_at: '2026-03-31T14:00:05Z',
  };
}

function quote(change: Partial<QuoteEvent> = {}): QuoteEvent {
  return {
    portfolio_id: 7,
    snapshot_id: 1,
    nav: '1010.00',
    pnl: '10.00',
    positions: [{ ticker: 'AAPL', state: 'live', reason: null }],
    feed: { state: 'live', message: 'Live prices.', last_tick_at: null },
    ...change,
  } as QuoteEvent;
}

const feedState = (state: QuoteEvent['feed']['state']) => ({
  feed: { state, message: '', last_tick_at: null },
});

/** An API whose newest snapshot the test sets; answers 304 to a tag it has already given. */
class FakeApi {
  newest = snapshot(1);
  failure: Problem | null = null;
  readonly tags: (string | null)[] = [];
  waitFor: Promise<void> = Promise.resolve();

  async risk(_id: number, etag: string | null) {
    this.tags.push(etag);
    await this.waitFor;
    if (this.failure) throw this.failure;
    const tag = `"${this.newest.snapshot_id}-${this.newest.state}"`;
    return etag === tag ? null : { body: this.newest, etag: tag };
  }
  holdings = () => Promise.resolve({ items: [] });
  history = () => Promise.resolve({ items: [] });
}

async function setUp() {
  const api = new FakeApi();
  const socket = new FakeSocket();
  TestBed.configureTestingModule({
    providers: [
      PortfolioFeed,
      { provide: Api, useValue: api },
      { provide: OPEN_LIVE_SOCKET, useValue: () => Promise.resolve(socket) },
    ],
  });
  const feed = TestBed.inject(PortfolioFeed);
  await feed.open(7);
  await feed.refresh();
  return { api, socket, feed };
}

describe('PortfolioFeed', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => {
    TestBed.resetTestingModule();
    vi.useRealTimers();
  });

  it('reads the snapshot, subscribes, and is live', async () => {
    const { socket, feed } = await setUp();
    expect(feed.snapshot()?.snapshot_id).toBe(1);
    expect(feed.connection()).toBe('live');
    expect(socket.emitted).toEqual([['subscribe', { portfolio_id: 7 }]]);
  });

  it('changes the headline at once, before the snapshot is there', async () => {
    const { api, socket, feed } = await setUp();
    let answer!: () => void;
    api.waitFor = new Promise((resolve) => (answer = resolve));
    api.newest = snapshot(2, { nav: '2000.00' });
    socket.receive('risk', event(2));
    expect(feed.headline()).toMatchObject({ nav: 2000, var95: 0.025, revision: 2 });
    expect(feed.snapshot()?.snapshot_id).toBe(1);
    answer();
    await feed.refresh();
    expect(feed.snapshot()?.snapshot_id).toBe(2);
    expect(feed.headline()?.var95).toBe(0.02);
  });

  it('never goes back to an older event or snapshot', async () => {
    const { api, socket, feed } = await setUp();
    api.newest = snapshot(5);
    await feed.refresh();
    socket.receive('risk', event(3));
    expect(feed.headline()?.revision).toBe(5);
    api.newest = snapshot(4);
    await feed.refresh();
    expect(feed.snapshot()?.snapshot_id).toBe(5);
  });

  it('ignores events of other portfolios', async () => {
    const { socket, feed } = await setUp();
    socket.receive('risk', { ...event(9), portfolio_id: 8 });
    socket.receive('progress', { portfolio_id: 8, stage: 'prices', fraction: 0.5 });
    expect(feed.headline()?.revision).toBe(1);
    expect(feed.progress()).toBeNull();
  });

  it('asks with the tag it holds, and keeps what it has on 304', async () => {
    const { api, feed } = await setUp();
    const held = feed.snapshot();
    await feed.refresh();
    expect(api.tags.at(-1)).toBe('"1-fresh"');
    expect(feed.snapshot()).toBe(held);
  });

  it('makes at most one more request for a burst of events', async () => {
    const { api, socket, feed } = await setUp();
    const before = api.tags.length;
    for (let id = 2; id <= 100; id++) socket.receive('risk', event(id));
    api.newest = snapshot(100);
    await feed.refresh();
    expect(api.tags.length - before).toBeLessThanOrEqual(2);
    expect(feed.snapshot()?.snapshot_id).toBe(100);
  });

  it('polls while the socket is away, and subscribes and reads again when it is back', async () => {
    const { api, socket, feed } = await setUp();
    socket.drop();
    await feed.refresh();
    expect(feed.connection()).toBe('polling');
    api.newest = snapshot(2);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(feed.snapshot()?.snapshot_id).toBe(2);
    api.newest = snapshot(3);
    socket.connect();
    await feed.refresh();
    expect(feed.connection()).toBe('live');
    expect(feed.snapshot()?.snapshot_id).toBe(3);
    expect(socket.emitted.filter(([name]) => name === 'subscribe')).toHaveLength(2);
  });

  it('connects again after the server has ended the connection', async () => {
    const { socket, feed } = await setUp();
    socket.drop({ forGood: true });
    await feed.refresh();
    expect(feed.connection()).toBe('polling');
    await vi.advanceTimersByTimeAsync(4_000);
    expect(feed.connection()).toBe('live');
  });

  it('keeps the last snapshot while nothing can be reached, and recovers by itself', async () => {
    const { api, socket, feed } = await setUp();
    socket.drop();
    api.failure = new Problem(0, 't', 'No connection', 'Cannot be reached.');
    await feed.refresh();
    expect(feed.connection()).toBe('offline');
    expect(feed.snapshot()?.snapshot_id).toBe(1);
    api.failure = null;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(feed.connection()).toBe('polling');
    expect(feed.problem()).toBeNull();
  });

  it('notices a lost network before the socket does, and is live again once a read works', async () => {
    const { api, feed } = await setUp();
    api.failure = new Problem(0, 't', 'No connection', 'Cannot be reached.');
    dispatchEvent(new Event('offline'));
    await feed.refresh();
    expect(feed.connection()).toBe('offline');
    api.failure = null;
    dispatchEvent(new Event('online'));
    await feed.refresh();
    expect(feed.connection()).toBe('live');
  });

  it('does not call itself live when the subscription is refused', async () => {
    const { socket, feed } = await setUp();
    socket.drop();
    socket.answer = {
      type: '/problems/no-such-portfolio',
      status: 404,
      detail: 'No such portfolio.',
    };
    socket.connect();
    await feed.refresh();
    expect(feed.connection()).toBe('polling');
  });

  it('shows progress until the figures arrive', async () => {
    const { api, socket, feed } = await setUp();
    api.newest = snapshot(1, { state: 'computing', wanted_revision: 2 });
    socket.receive('progress', { portfolio_id: 7, stage: 'scenarios', fraction: 0.5 });
    await feed.refresh();
    expect(feed.progress()).toEqual({ stage: 'scenarios', fraction: 0.5 });
    expect(feed.state()).toBe('computing');
    api.newest = snapshot(2);
    socket.receive('risk', event(2));
    expect(feed.progress()).toBeNull();
    expect(feed.state()).toBe('fresh');
  });

  it('forgets one portfolio when it opens another', async () => {
    const { api, socket, feed } = await setUp();
    api.newest = snapshot(1, { portfolio_id: 8 });
    await feed.open(8);
    expect(socket.emitted.slice(-2)).toEqual([
      ['unsubscribe', { portfolio_id: 7 }],
      ['subscribe', { portfolio_id: 8 }],
    ]);
    socket.receive('risk', event(2));
    expect(feed.headline()?.revision).toBe(1);
  });

  describe('at live prices', () => {
    it('takes those of its snapshot and of no other portfolio', async () => {
      const { socket, feed } = await setUp();
      expect(feed.live()).toBeNull();
      socket.receive('prices', quote({ portfolio_id: 8 }));
      expect(feed.live()).toBeNull();
      socket.receive('prices', quote({ snapshot_id: 9 }));
      expect(feed.live()).toBeNull();
      socket.receive('prices', quote());
      expect(feed.live()?.nav).toBe('1010.00');
    });

    it('goes back to the snapshot when a newer one arrives', async () => {
      const { api, socket, feed } = await setUp();
      socket.receive('prices', quote());
      api.newest = snapshot(2);
      socket.receive('risk', event(2));
      expect(feed.live()).toBeNull();
      await feed.refresh();
      socket.receive('prices', quote({ snapshot_id: 2 }));
      expect(feed.live()?.snapshot_id).toBe(2);
    });

    it('goes back to the snapshot when the stream is stuck, and keeps the last prices of a closed market', async () => {
      const { socket, feed } = await setUp();
      socket.receive('prices', quote());
      socket.receive('prices', quote(feedState('stale')));
      expect(feed.live()).toBeNull();
      socket.receive('prices', quote(feedState('closed')));
      expect(feed.live()).not.toBeNull();
      socket.receive('prices', quote(feedState('connecting')));
      expect(feed.live()).toBeNull();
    });

    it('counts no price that is not to be believed', async () => {
      const { socket, feed } = await setUp();
      const positions = [{ ticker: 'AAPL', state: 'suspicious', reason: 'far from the close' }];
      socket.receive('prices', quote({ positions }));
      expect(feed.live()).toBeNull();
    });

    it('goes back to the snapshot when nothing is heard any more', async () => {
      const { socket, feed } = await setUp();
      socket.receive('prices', quote());
      await vi.advanceTimersByTimeAsync(SILENT_MS - 1);
      expect(feed.live()).not.toBeNull();
      await vi.advanceTimersByTimeAsync(1);
      expect(feed.live()).toBeNull();
      socket.receive('prices', quote());
      socket.drop();
      expect(feed.live()).toBeNull();
    });
  });
});
