import { ComponentFixture, TestBed } from '@angular/core/testing';

import { Api } from '../../core/api/api';
import { Problem } from '../../core/api/problem';
import { Performance as Answer, Portfolio, Risk } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import { Performance } from './performance';

const PORTFOLIO = { id: 7, base_currency: 'USD' } as Portfolio;
const RISK = { snapshot_id: 3, as_of: '2022-12-28' } as Risk;
const FOUND: Answer = {
  portfolio_id: 7,
  base_currency: 'USD',
  counts_cash: true,
  from: '2021-12-28',
  to: '2022-12-28',
  start_value: 1000,
  end_value: 1105,
  net_flow: 0,
  profit: 105,
  time_weighted: 0.105,
  time_weighted_annualised: 0.105,
  money_weighted: -0.02,
  money_weighted_annualised: null,
  flows: [],
  series: [{ day: '2021-12-28', value: 1000, time_weighted: 0 }],
  left_out: [],
  unvalued_until: null,
};

describe('Performance', () => {
  let fixture: ComponentFixture<Performance>;
  let asked: (string | undefined)[];
  let answer: Answer | Problem;

  beforeEach(() => {
    useLocale('en-US');
    asked = [];
    const api: Partial<Api> = {
      performance: (_portfolio, from) => {
        asked.push(from);
        return answer instanceof Problem ? Promise.reject(answer) : Promise.resolve(answer);
      },
    };
    TestBed.configureTestingModule({ providers: [{ provide: Api, useValue: api }] });
  });

  async function open(found: Answer | Problem): Promise<void> {
    answer = found;
    fixture = TestBed.createComponent(Performance);
    fixture.componentRef.setInput('risk', RISK);
    fixture.componentRef.setInput('portfolio', PORTFOLIO);
    await fixture.whenStable();
  }

  const element = () => fixture.nativeElement as HTMLElement;
  const shown = () => element().textContent;
  const figure = (name: string) =>
    element().querySelector(`[data-testid="return-${name}"]`)!.textContent.trim();

  it('shows both returns with their sign, and what they are a year', async () => {
    await open(FOUND);
    expect(figure('time-weighted')).toBe('+10.50%');
    expect(figure('money-weighted')).toBe('−2.00%');
    expect(figure('profit')).toBe('+$105');
    expect(shown()).toContain('+10.50% a year');
    expect(shown()).toContain('From $1,000.00 to $1,105.00, with nothing paid in or taken out');
  });

  it('asks anew for another period and for another snapshot', async () => {
    await open(FOUND);
    expect(asked).toEqual(['2021-12-28']);
    element().querySelectorAll<HTMLButtonElement>('mat-button-toggle button')[3].click();
    await fixture.whenStable();
    expect(asked).toEqual(['2021-12-28', undefined]);
    fixture.componentRef.setInput('risk', { ...RISK, snapshot_id: 4 });
    await fixture.whenStable();
    expect(asked).toHaveLength(3);
  });

  it('says why a return is missing and what is left out', async () => {
    await open({
      ...FOUND,
      time_weighted: null,
      money_weighted: null,
      unvalued_until: '2021-12-27',
      left_out: [{ name: 'NOSUCH', reason: 'There is no price of NOSUCH.' }],
    });
    expect(figure('time-weighted')).toBe('–');
    expect(shown()).toContain('No time-weighted return');
    expect(shown()).toContain('No money-weighted return');
    expect(shown()).toContain('up to Dec 27, 2021 prices or exchange rates are missing');
    expect(shown()).toContain('NOSUCH is left out: There is no price of NOSUCH.');
  });

  it('claims no return of a single day', async () => {
    await open({ ...FOUND, from: '2022-12-28', time_weighted: 0, money_weighted: null });
    expect(figure('time-weighted')).toBe('–');
    expect(shown()).toContain('Only Dec 28, 2022 can be valued so far');
    expect(shown()).not.toContain('No money-weighted return');
  });

  it('says why nothing can be shown', async () => {
    await open(new Problem(503, 'about:blank', 'Busy', 'The database does not answer.'));
    expect(shown()).toContain('The returns cannot be shown: The database does not answer.');
  });
});
