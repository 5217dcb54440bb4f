import { ComponentFixture, TestBed } from '@angular/core/testing';

import { Api } from '../../core/api/api';
import { Problem } from '../../core/api/problem';
import { Backtest as Answer, Portfolio, Risk } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import { Backtest } from './backtest';

const PORTFOLIO = { id: 7, base_currency: 'USD' } as Portfolio;
const RISK = { snapshot_id: 3, method: 'filtered' } as Risk;
const NONE: Answer = {
  state: 'none',
  reason: null,
  snapshot_id: null,
  as_of: null,
  computed_at: null,
  method: null,
  start: null,
  end: null,
  methods: {},
  series: null,
  warnings: [],
  live: { n: 0, exceedances: 0, rate: null, exceedances_99: 0, rate_99: null, days: [] },
};
const SCORES = {
  n: 500,
  exceedances: 25,
  exceedance_rate: 0.05,
  pinball: 0.001,
  fz0: -3,
  kupiec_p: 1,
  independence_p: 0.6,
  conditional_coverage_p: 0.8,
  traffic_light: null,
  z2: 0,
};

class FakeApi {
  answers: (Answer | Problem)[] = [];
  wanted = 0;

  backtest(): Promise<Answer> {
    const answer = this.answers.length > 1 ? this.answers.shift()! : this.answers[0];
    return answer instanceof Problem ? Promise.reject(answer) : Promise.resolve(answer);
  }

  wantBacktest(): Promise<unknown> {
    this.wanted += 1;
    return Promise.resolve({});
  }
}

describe('Backtest', () => {
  let api: FakeApi;
  let fixture: ComponentFixture<Backtest>;

  beforeEach(() => {
    vi.useFakeTimers();
    useLocale('en-US');
    api = new FakeApi();
    TestBed.configureTestingModule({ providers: [{ provide: Api, useValue: api }] });
  });

  afterEach(() => vi.useRealTimers());

  async function open(...answers: (Answer | Problem)[]): Promise<void> {
    api.answers = answers;
    fixture = TestBed.createComponent(Backtest);
    fixture.componentRef.setInput('risk', RISK);
    fixture.componentRef.setInput('portfolio', PORTFOLIO);
    await after(0);
  }

  async function after(milliseconds: number): Promise<void> {
    for (const wait of [0, milliseconds, 0]) {
      TestBed.tick();
      await vi.advanceTimersByTimeAsync(wait);
    }
    fixture.detectChanges();
  }

  const shown = () => (fixture.nativeElement as HTMLElement).textContent;
  const button = () =>
    (fixture.nativeElement as HTMLElement).querySelector<HTMLButtonElement>(
      '[data-testid="backtest-ask"]',
    );

  it('asks for one on demand, waits for it and shows it when it is there', async () => {
    const ready: Answer = {
      ...NONE,
      state: 'ready',
      snapshot_id: 3,
      method: 'filtered',
      start: '2020-01-02',
      end: '2022-12-28',
      methods: { filtered: { '95': SCORES } },
    };
    await open(NONE, { ...NONE, state: 'computing' }, { ...NONE, state: 'computing' }, ready);
    expect(shown()).toContain('have not been backtested yet');
    button()!.click();
    await after(0);
    expect(api.wanted).toBe(1);
    expect(shown()).toContain('is being computed');
    expect(button()).toBeNull();
    await after(4000);
    await after(4000);
    expect(shown()).toContain(
      'Backtest of today’s positions Jan 2, 2020 to Dec 28, 2022: the loss exceeded VaR 95% on 25 of 500 days (5.00%); 25 were to be expected',
    );
    expect(shown()).toContain('The count fits the confidence (Kupiec, p 1.00)');
  });

  it('says why one failed, and can try again', async () => {
    await open({ ...NONE, state: 'failed', reason: 'There is too little history.' });
    expect(shown()).toContain('There is too little history.');
    expect(button()).not.toBeNull();
  });

  it('says why nothing can be shown', async () => {
    await open(new Problem(503, 'about:blank', 'Busy', 'The database does not answer.'));
    expect(shown()).toContain('The backtest cannot be shown: The database does not answer.');
  });

  it('tells served days first', async () => {
    await open({ ...NONE, live: { ...NONE.live, n: 40, exceedances: 1 } });
    expect(shown()).toContain(
      'Served figures: the loss exceeded VaR 95% on 1 of 40 days (2.50%); 2.0 were',
    );
  });

  it('says whose positions were tested until the newest ones are, and looks for that', async () => {
    const old: Answer = {
      ...NONE,
      state: 'ready',
      snapshot_id: 2,
      computed_at: '2026-11-20T22:00:00Z',
      method: 'filtered',
      methods: { filtered: { '95': SCORES } },
    };
    await open(old, { ...old, snapshot_id: 3 });
    expect(shown()).toContain('Backtest of the positions of Nov 20, 2026');
    await after(30_000);
    expect(shown()).toContain('Backtest of today’s positions');
  });

  it('does not look for it for ever', async () => {
    await open(NONE);
    const asked = vi.spyOn(api, 'backtest');
    for (let i = 0; i < 15; i += 1) await after(30_000);
    expect(asked).toHaveBeenCalledTimes(10);
  });
});
