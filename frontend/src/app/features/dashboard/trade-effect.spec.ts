import { signal } from '@angular/core';
import { ComponentFixture, TestBed } from '@angular/core/testing';

import { Api } from '../../core/api/api';
import { Problem } from '../../core/api/problem';
import { Portfolio, Preview, PreviewRequest } from '../../core/api/types';
import { PortfolioFeed } from '../../core/live/portfolio-feed';
import { useLocale } from '../../ui/format';
import { TradeToTry } from './effect';
import { TradeEffect } from './trade-effect';

const PORTFOLIO = { id: 7, base_currency: 'USD', risk_confidence: '95' } as Portfolio;
const AAPL: TradeToTry = { ticker: 'AAPL', quantity: '10' };

interface Asked {
  body: PreviewRequest;
  signal: AbortSignal;
  answer: (preview: Preview) => void;
  refuse: (problem: Problem) => void;
}

class FakeApi {
  readonly asked: Asked[] = [];

  preview(_id: number, body: PreviewRequest, signal: AbortSignal): Promise<Preview> {
    return new Promise((answer, refuse) => this.asked.push({ body, signal, answer, refuse }));
  }
}

function answer(after: number): Preview {
  const all = (share: number) => ({
    annualized_volatility: share,
    var_95_1d: share,
    es_95_1d: share,
    var_975_1d: share,
    es_975_1d: share,
    var_99_1d: share,
    es_99_1d: share,
  });
  const figures = (share: number) => ({
    nav: 1000,
    gross: 1000,
    ...all(share),
    amounts: all(share * 1000),
  });
  return {
    as_of: '2026-11-20',
    base_currency: 'USD',
    method: 'filtered',
    before: figures(0.02),
    after: figures(after),
    incremental: figures(after - 0.02),
    trades: [],
    limit: null,
    hedge: null,
    warnings: [],
  };
}

describe('TradeEffect', () => {
  let api: FakeApi;
  let fixture: ComponentFixture<TradeEffect>;
  const snapshot = signal({ snapshot_id: 1 });

  beforeEach(() => {
    vi.useFakeTimers();
    useLocale('en-US');
    api = new FakeApi();
    TestBed.configureTestingModule({
      providers: [
        { provide: Api, useValue: api },
        { provide: PortfolioFeed, useValue: { snapshot } },
      ],
    });
    fixture = TestBed.createComponent(TradeEffect);
    fixture.componentRef.setInput('portfolio', PORTFOLIO);
    fixture.componentRef.setInput('trade', null);
    fixture.detectChanges();
  });

  afterEach(() => vi.useRealTimers());

  async function settle(milliseconds = 400): Promise<void> {
    TestBed.tick();
    await vi.advanceTimersByTimeAsync(milliseconds);
    TestBed.tick();
    fixture.detectChanges();
  }

  async function type(trade: TradeToTry | null, milliseconds = 400): Promise<void> {
    fixture.componentRef.setInput('trade', trade);
    await settle(milliseconds);
  }

  function element(id: string): HTMLElement | null {
    return (fixture.nativeElement as HTMLElement).querySelector(`[data-testid="${id}"]`);
  }

  it('asks for nothing until there is a trade', async () => {
    await settle();
    expect(api.asked).toEqual([]);
    expect(element('effect')?.textContent).toContain('shows here before it is booked');
  });

  it('asks once when typing is over', async () => {
    await type(AAPL, 100);
    await type({ ...AAPL, quantity: '100' }, 100);
    await type({ ...AAPL, quantity: '1000' });
    expect(api.asked.map(({ body }) => body.trades[0].quantity)).toEqual(['1000']);
    api.asked[0].answer(answer(0.03));
    await settle();
    expect(element('effect-var')?.textContent).toBe('3.00%');
  });

  it('gives up what was asked when the trade changes, and shows the newest answer alone', async () => {
    await type(AAPL);
    await type({ ...AAPL, quantity: '20' });
    expect(api.asked.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    api.asked[1].answer(answer(0.04));
    api.asked[0].answer(answer(0.9));
    await settle();
    expect(element('effect-var')?.textContent).toBe('4.00%');
  });

  it('keeps the last answer in sight for the same ticker, and drops it for another', async () => {
    await type(AAPL);
    api.asked[0].answer(answer(0.03));
    await settle();
    await type({ ...AAPL, quantity: '20' });
    expect(element('effect-var')?.textContent).toBe('3.00%');
    await type({ ...AAPL, ticker: 'MSFT' });
    expect(element('effect-var')).toBeNull();
  });

  it('asks again when there is a new snapshot', async () => {
    await type(AAPL);
    snapshot.set({ snapshot_id: 2 });
    await settle();
    expect(api.asked).toHaveLength(2);
    expect(api.asked[1].body).toEqual(api.asked[0].body);
  });

  it('says why there is no effect to show', async () => {
    await type(AAPL);
    api.asked[0].refuse(new Problem(503, 'about:blank', 'Busy', 'Too many ask at once.'));
    await settle();
    expect(element('effect')?.textContent).toContain('Too many ask at once.');
  });

  it('asks for a size and a hedge on demand, and forgets them with the trade', async () => {
    await type(AAPL);
    api.asked[0].answer(answer(0.03));
    await settle();
    element('effect-limit')!.click();
    element('effect-hedge')!.click();
    await settle();
    expect(api.asked[1].body).toEqual({
      trades: [AAPL],
      limit: { figure: 'var_95_1d', value: 0.02 },
      ticker: 'AAPL',
      hedge: true,
    });
    await type(null);
    await type(AAPL);
    expect(api.asked[2].body).toEqual({ trades: [AAPL] });
  });

  it('hands over the size that meets the limit', async () => {
    const taken: string[] = [];
    fixture.componentInstance.sized.subscribe((quantity) => taken.push(quantity));
    await type(AAPL);
    api.asked[0].answer(answer(0.03));
    await settle();
    element('effect-limit')!.click();
    await settle();
    const limit: Preview['limit'] = {
      figure: 'var_95_1d',
      value: 0.02,
      ticker: 'AAPL',
      quantity: '4',
      trade_quantity: '-6',
      reached: 0.02,
      message: 'The largest that keeps to the limit.',
    };
    api.asked[1].answer({ ...answer(0.03), limit });
    await settle();
    element('effect-size')!.querySelector('button')!.click();
    expect(taken).toEqual(['-6']);
  });
});
