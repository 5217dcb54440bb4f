import { useLocale } from '../../ui/format';
import { FreshnessInput, freshness } from './freshness';

const NOW = Date.parse('2026-03-31T14:00:10Z');
const FRESH: FreshnessInput = {
  connection: 'live',
  state: 'fresh',
  progress: null,
  failure: null,
  changesBehind: 0,
  computedAt: '2026-03-31T14:00:07Z',
  asOf: '2022-12-28',
  source: 'sample',
};

function say(change: Partial<FreshnessInput>): string {
  const { label, detail } = freshness({ ...FRESH, ...change }, NOW);
  return detail ? `${label} · ${detail}` : label;
}

describe('freshness', () => {
  beforeEach(() => useLocale('en-GB'));

  it('counts seconds and names the prices', () => {
    expect(say({})).toBe('Fresh · 3 s ago · prices of 28 Dec 2022 (sample)');
  });

  it('says that it polls when there is no live connection', () => {
    expect(say({ connection: 'polling' })).toContain('no live connection, asking every 4 s');
  });

  it('shows how far a computation is, and how old the figures on show are', () => {
    const progress = { stage: 'prices', fraction: 0.5 };
    expect(say({ state: 'computing', progress })).toBe(
      'Computing · prices 50% · figures of 3 s ago',
    );
    expect(freshness({ ...FRESH, state: 'computing', progress }, NOW).fraction).toBe(0.5);
  });

  it('counts the changes it is behind by, or blames the prices', () => {
    expect(say({ state: 'stale', changesBehind: 1 })).toMatch(/^Behind by 1 change ·/);
    expect(say({ state: 'stale', changesBehind: 2 })).toMatch(/^Behind by 2 changes ·/);
    expect(say({ state: 'stale' })).toMatch(/^Behind newer prices ·/);
  });

  it('gives the reason of a failure, the next try, and a way to try at once', () => {
    const failure = { reason: 'Yahoo refused (429)', next_attempt_at: '2026-03-31T14:05:00Z' };
    const line = freshness({ ...FRESH, state: 'failed', failure }, NOW);
    expect(line.label).toBe('Failed');
    expect(line.detail).toMatch(/^Yahoo refused \(429\) · next try \d\d:05 · figures of 3 s ago$/);
    expect(line.canRetry).toBe(true);
  });

  it('does not promise a next try that is already past', () => {
    const failure = { reason: 'No answer', next_attempt_at: '2026-03-31T13:59:00Z' };
    expect(say({ state: 'failed', failure })).not.toContain('next try');
  });

  it('puts being offline before everything else', () => {
    expect(say({ connection: 'offline', state: 'fresh' })).toBe(
      'Offline · showing the last snapshot, computed 3 s ago · trying again by itself',
    );
    expect(say({ connection: 'offline', state: null, computedAt: null })).toContain(
      'no figures yet',
    );
  });

  it('has words for an empty portfolio and for the first moment', () => {
    expect(say({ state: 'empty' })).toBe('No trades yet');
    expect(say({ state: null })).toBe('Loading');
  });
});
