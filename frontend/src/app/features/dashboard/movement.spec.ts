import { TestBed } from '@angular/core/testing';

import { Api } from '../../core/api/api';
import { Explain, Portfolio } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import { Movement } from './movement';

const EXPLAIN: Explain = {
  snapshot_id: 3,
  previous_snapshot_id: 2,
  from: '2026-11-20T22:00:00Z',
  to: '2026-11-23T22:00:00Z',
  base_currency: 'USD',
  amounts: {},
  order: ['corrections', 'trades', 'prices', 'volatility', 'correlation'],
  figures: {
    var_95_1d: {
      unit: 'fraction',
      previous: 0.02,
      current: 0.021,
      change: 0.001,
      parts: { corrections: 0, trades: 0.002, prices: -0.001, volatility: 0, correlation: 0 },
    },
  },
  sentence: 'VaR rose because of trades.',
  warnings: [{ code: 'settings', message: 'The risk settings were changed.' }],
};
const FIRST: Explain = {
  ...EXPLAIN,
  figures: {},
  sentence: 'This is the first snapshot.',
  warnings: [],
};

async function open(answer: Explain) {
  useLocale('en-US');
  const api = { explain: () => Promise.resolve(answer) };
  TestBed.configureTestingModule({ providers: [{ provide: Api, useValue: api }] });
  const fixture = TestBed.createComponent(Movement);
  fixture.componentRef.setInput('portfolio', { id: 7, base_currency: 'USD' } as Portfolio);
  fixture.componentRef.setInput('snapshotId', 3);
  await fixture.whenStable();
  return { fixture, page: fixture.nativeElement as HTMLElement };
}

describe('Movement', () => {
  it('says why the figures moved, and takes the change apart on demand', async () => {
    const { fixture, page } = await open(EXPLAIN);
    expect(page.textContent).toContain('VaR rose because of trades.');
    expect(page.querySelector('table')).toBeNull();
    page.querySelector('button')!.click();
    await fixture.whenStable();
    const rows = [...page.querySelectorAll('tbody tr')].map((row) =>
      row.textContent.replace(/\s+/g, ' ').trim(),
    );
    expect(rows).toHaveLength(7);
    expect(rows[0]).toBe('Before2.00%');
    expect(rows[2]).toBe('Trades+0.20 pts');
    expect(page.textContent).toContain('The risk settings were changed.');
  });

  it('has nothing to unfold for a first snapshot', async () => {
    const { page } = await open(FIRST);
    expect(page.textContent).toContain('This is the first snapshot.');
    expect(page.querySelector('button')).toBeNull();
  });
});
