import { signal } from '@angular/core';
import { ComponentFixture, TestBed } from '@angular/core/testing';

import { Api } from '../../core/api/api';
import { Problem } from '../../core/api/problem';
import { Portfolio, ShareTrade, TradeInput } from '../../core/api/types';
import { PortfolioFeed } from '../../core/live/portfolio-feed';
import { useLocale } from '../../ui/format';
import { TradeForm } from './trade-form';

const PORTFOLIO = { id: 7, base_currency: 'USD' } as Portfolio;
const BOOKED = { id: 1, ticker: 'AAPL', quantity: '10', price: '180.09' } as ShareTrade;
const OFFLINE = new Problem(0, 'about:blank', 'No connection', 'Tailwatch cannot be reached.');

class FakeApi {
  readonly sent: { body: TradeInput; key: string }[] = [];
  answers: (Problem | null)[] = [];

  /** The effect is told by its own tests; booking does not depend on it. */
  preview() {
    return Promise.reject(OFFLINE);
  }

  bookTrade(_id: number, body: TradeInput, key: string) {
    this.sent.push({ body, key });
    const problem = this.answers.shift();
    return problem ? Promise.reject(problem) : Promise.resolve({ trade: BOOKED, revision: 2 });
  }
}

describe('TradeForm', () => {
  let api: FakeApi;
  let fixture: ComponentFixture<TradeForm>;

  beforeEach(() => {
    sessionStorage.clear();
    useLocale('en-US');
    api = new FakeApi();
    TestBed.configureTestingModule({
      providers: [
        { provide: Api, useValue: api },
        { provide: PortfolioFeed, useValue: { snapshot: signal(null) } },
      ],
    });
    open();
  });

  function open(): void {
    fixture = TestBed.createComponent(TradeForm);
    fixture.componentRef.setInput('portfolio', PORTFOLIO);
    fixture.detectChanges();
  }

  function element<T extends HTMLElement = HTMLInputElement>(id: string): T | null {
    return (fixture.nativeElement as HTMLElement).querySelector<T>(`[data-testid="${id}"]`);
  }

  function type(id: string, text: string): void {
    const field = element(id)!;
    field.value = text;
    field.dispatchEvent(new Event('input'));
  }

  async function book(): Promise<void> {
    element<HTMLButtonElement>('trade-submit')!.click();
    await fixture.whenStable();
  }

  async function typeAndBook(): Promise<void> {
    type('trade-ticker', 'aapl');
    type('trade-quantity', '10');
    type('trade-price', '180.09');
    await book();
  }

  it('books exact digits and is empty for the next trade', async () => {
    await typeAndBook();
    expect(api.sent[0].body).toEqual({ ticker: 'AAPL', quantity: '10', price: '180.09' });
    expect(element('trade-ticker')!.value).toBe('');
  });

  it('sends nothing that is no number, and says so at the field', async () => {
    type('trade-ticker', 'AAPL');
    type('trade-quantity', 'ten');
    await book();
    expect(api.sent).toEqual([]);
    expect(element('trade-quantity-error')?.textContent).toContain('Write a number');
    expect(element('trade-price-error')?.textContent).toContain('price');
  });

  it('explains what cannot be booked before asking the server', async () => {
    type('trade-ticker', 'AA PL');
    type('trade-quantity', '0.00');
    type('trade-price', '-4');
    await book();
    expect(api.sent).toEqual([]);
    expect(element('trade-ticker-error')?.textContent).toContain('BRK-B');
    expect(element('trade-quantity-error')?.textContent).toContain('zero');
    expect(element('trade-price-error')?.textContent).toContain('choose Sell');
  });

  it('shows the server’s errors at their fields, folded ones included, and keeps what was typed', async () => {
    api.answers = [
      new Problem(422, '/problems/invalid-input', 'Invalid', 'Correct it.', [
        { field: 'ticker', message: 'is not a ticker' },
        { field: 'executed_at', message: 'must not be in the future' },
      ]),
    ];
    await typeAndBook();
    expect(element('trade-ticker-error')?.textContent).toBe('This is not a ticker.');
    expect(element('trade-executed-at-error')?.textContent).toBe('This must not be in the future.');
    expect(element('trade-quantity')!.value).toBe('10');
  });

  it('sends the same key again after a lost connection, so that the trade is booked once', async () => {
    api.answers = [OFFLINE];
    await typeAndBook();
    expect(element('trade-problem')?.textContent).toContain('cannot be reached');
    await book();
    expect(api.sent).toHaveLength(2);
    expect(api.sent[1]).toEqual(api.sent[0]);
    expect(element('trade-problem')).toBeNull();
  });

  it('takes a new key for a trade that was edited in between, and for the next one', async () => {
    api.answers = [OFFLINE];
    await typeAndBook();
    type('trade-quantity', '11');
    await book();
    await typeAndBook();
    expect(new Set(api.sent.map(({ key }) => key)).size).toBe(3);
  });

  it('still holds what was typed after the page was left and opened again', async () => {
    type('trade-ticker', 'MSFT');
    await fixture.whenStable();
    fixture.destroy();
    open();
    await fixture.whenStable();
    expect(element('trade-ticker')!.value).toBe('MSFT');
  });
});
