import { Signal, signal } from '@angular/core';

import { QuoteEvent } from '../api/types';

/** The process of live quotes speaks every five seconds; after three silent ones it is gone. */
export const SILENT_MS = 15_000;

/** The newest event of live quotes, for as long as it can be trusted. */
export class LiveQuotes {
  private readonly heldOf = signal<QuoteEvent | null>(null);
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** Null where the stream is stuck or silent, or no position has a live price: the snapshot counts. */
  readonly held: Signal<QuoteEvent | null> = this.heldOf.asReadonly();

  take(event: QuoteEvent): void {
    clearTimeout(this.timer);
    if (!counts(event)) return this.heldOf.set(null);
    this.heldOf.set(event);
    this.timer = setTimeout(() => this.heldOf.set(null), SILENT_MS);
  }

  drop(): void {
    clearTimeout(this.timer);
    this.heldOf.set(null);
  }
}

/** After hours the last regular prices are still nearer than the snapshot's; a stuck stream's are not to be trusted. */
function counts({ feed, positions }: QuoteEvent): boolean {
  const isTrusted = feed.state === 'live' || feed.state === 'closed';
  return isTrusted && positions.some((position) => position.state === 'live');
}
