import { Failure, Progress, RiskState } from '../../core/api/types';
import { Connection } from '../../core/live/portfolio-feed';
import { age, clockTime, day, percent } from '../../ui/format';

export interface FreshnessInput {
  connection: Connection;
  state: RiskState | null;
  progress: Progress | null;
  failure: Failure | null;
  /** Trades and settings changed since the snapshot; 0 where only prices moved on. */
  changesBehind: number;
  computedAt: string | null;
  asOf: string | null;
  /** Where the prices come from, such as `sample` or `yahoo, sample`. */
  source: string | null;
}

export type FreshnessKind = 'fresh' | 'computing' | 'behind' | 'failed' | 'offline' | 'empty';

export interface Freshness {
  kind: FreshnessKind;
  /** The word or two that must be read. */
  label: string;
  /** The rest, in the same line. */
  detail: string;
  /** From 0 to 1 while a computation reports how far it is. */
  fraction: number | null;
  canRetry: boolean;
}

/** Say in one line whether the figures can be trusted, and if not, what they are missing. */
export function freshness(input: FreshnessInput, now: number): Freshness {
  const since = input.computedAt ? `${age(now - Date.parse(input.computedAt))} ago` : '';
  const prices = pricesOf(input);
  if (input.connection === 'offline') {
    return line('offline', 'Offline', [
      input.computedAt ? `showing the last snapshot, computed ${since}` : 'no figures yet',
      'trying again by itself',
    ]);
  }
  switch (input.state) {
    case 'failed':
      return { ...line('failed', 'Failed', failed(input, since, now)), canRetry: true };
    case 'computing': {
      const { progress } = input;
      const stage = progress ? `${progress.stage} ${percent(progress.fraction, 0)}` : '';
      const kept = input.computedAt ? `figures of ${since}` : '';
      return {
        ...line('computing', 'Computing', [stage, kept, howTold(input.connection)]),
        fraction: progress?.fraction ?? null,
      };
    }
    case 'stale': {
      const behind = behindBy(input.changesBehind);
      return line('behind', behind, [since && `computed ${since}`, howTold(input.connection)]);
    }
    case 'fresh':
      return line('fresh', 'Fresh', [since, prices, howTold(input.connection)]);
    case 'empty':
      return line('empty', 'No trades yet', [howTold(input.connection)]);
    case null:
      return line('computing', 'Loading', []);
  }
}

function line(kind: FreshnessKind, label: string, parts: string[]): Freshness {
  const detail = parts.filter(Boolean).join(' · ');
  return { kind, label, detail, fraction: null, canRetry: false };
}

function behindBy(changes: number): string {
  if (changes <= 0) return 'Behind newer prices';
  return changes === 1 ? 'Behind by 1 change' : `Behind by ${changes} changes`;
}

function failed(input: FreshnessInput, since: string, now: number): string[] {
  const next = input.failure?.next_attempt_at;
  return [
    input.failure?.reason ?? 'the reason is not known',
    next && Date.parse(next) > now ? `next try ${clockTime(next)}` : '',
    since && `figures of ${since}`,
  ].filter((part): part is string => Boolean(part));
}

function pricesOf({ asOf, source }: FreshnessInput): string {
  if (!asOf) return '';
  return `prices of ${day(asOf)}${source ? ` (${source})` : ''}`;
}

function howTold(connection: Connection): string {
  return connection === 'polling' ? 'no live connection, asking every 4 s' : '';
}
