import { QuoteEvent } from '../../core/api/types';
import { useLocale } from '../../ui/format';
import { liveFigures } from './headline';
import { livePnl, liveSentence } from './live-words';

const QUOTE = {
  close_day: '2022-12-28',
  nav: '99000.00',
  pnl: '-1000.00',
  pnl_fraction: -0.01,
  annualized_volatility: 0.16,
  var_975_1d: 0.025,
  es_975_1d: 0.03,
  amounts: { annualized_volatility: 15_840, var_975_1d: 2475, es_975_1d: 2970 },
  positions: [
    { ticker: 'AAPL', state: 'live', reason: null },
    { ticker: 'MSFT', state: 'suspicious', reason: 'far from the close' },
  ],
  feed: { state: 'live', message: 'Live prices, unconfirmed.', last_tick_at: null },
} as unknown as QuoteEvent;

describe('live prices', () => {
  beforeEach(() => useLocale('en-US'));

  it('give the figures of the level that leads', () => {
    expect(liveFigures('97.5', QUOTE)).toEqual({
      confidence: '97.5',
      days: 40,
      nav: 99_000,
      volatility: { share: 0.16, amount: 15_840 },
      var: { share: 0.025, amount: 2475 },
      es: { share: 0.03, amount: 2970 },
    });
  });

  it('say of how many positions they are', () => {
    expect(liveSentence(QUOTE, 1)).toBe('Live prices, unconfirmed.');
    expect(liveSentence(QUOTE, 2)).toContain('1 of 2 positions have one');
  });

  it('tell the result of the day since the close', () => {
    expect(livePnl(QUOTE, 'USD')).toEqual({
      text: '−$1,000 (−1.00%)',
      since: 'since the close of Dec 28',
      tone: 'loss',
    });
    expect(livePnl({ ...QUOTE, pnl: '0.00', pnl_fraction: 0 }, 'USD').text).toBe('unchanged');
  });
});
