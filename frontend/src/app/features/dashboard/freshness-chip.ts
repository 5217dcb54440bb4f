import { ChangeDetectionStrategy, Component, computed, inject, output } from '@angular/core';

import { Clock } from '../../core/clock';
import { PortfolioFeed } from '../../core/live/portfolio-feed';
import { Icon, IconName } from '../../ui/icon';
import { freshness, FreshnessKind } from './freshness';
import { sourcesOf } from './sources';

const ICONS: Record<FreshnessKind, IconName> = {
  fresh: 'check',
  computing: 'refresh',
  behind: 'clock',
  failed: 'warning',
  offline: 'offline',
  empty: 'clock',
};

/** Always there: whether the figures are current, and what to do if they are not. */
@Component({
  selector: 'app-freshness-chip',
  imports: [Icon],
  template: `
    @let f = line();
    <div class="chip" [class]="f.kind" data-testid="freshness" [attr.data-state]="f.kind">
      <app-icon [name]="icon()" />
      <p>
        <strong>{{ f.label }}</strong>
        @if (f.detail) {
          <span> · {{ f.detail }}</span>
        }
      </p>
      @if (f.canRetry) {
        <button type="button" (click)="retry.emit()" data-testid="retry">Retry</button>
      }
      @if (f.kind === 'computing') {
        <span class="bar" [style.--done]="f.fraction ?? 0.15"></span>
      }
    </div>
    <span class="visually-hidden" role="status">{{ f.label }}</span>
  `,
  styleUrl: './freshness-chip.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class FreshnessChip {
  readonly retry = output();

  private readonly feed = inject(PortfolioFeed);
  private readonly clock = inject(Clock);

  protected readonly line = computed(() => {
    const snapshot = this.feed.snapshot();
    return freshness(
      {
        connection: this.feed.connection(),
        state: this.feed.state(),
        progress: this.feed.progress(),
        failure: this.feed.failure(),
        changesBehind: snapshot ? snapshot.wanted_revision - snapshot.revision : 0,
        computedAt: this.feed.headline()?.computedAt ?? null,
        asOf: snapshot?.as_of ?? null,
        source: snapshot && sourcesOf(snapshot.positions),
      },
      this.clock.now(),
    );
  });
  protected readonly icon = computed(() => ICONS[this.line().kind]);
}
