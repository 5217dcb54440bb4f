import { ChangeDetectionStrategy, Component, computed, input, signal } from '@angular/core';
import { MatButtonToggleModule } from '@angular/material/button-toggle';

import { Risk } from '../../core/api/types';
import { Card } from '../../ui/card';
import { PlainTable } from '../../ui/csv';
import { percent } from '../../ui/format';
import { RiskMeasure, bar, scaleOf, shares } from './shares';

const WHOLE: Record<RiskMeasure, () => string> = {
  es: () => `the average loss on the worst ${percent(0.025, 1)} of days`,
  var: () => `the loss at the ${percent(0.95, 0)} VaR`,
  volatility: () => 'the volatility',
};

/** Rows shown before the reader asks for all. */
const FIRST = 20;

/** Why: where risk and value differ, one row a position. */
@Component({
  selector: 'app-contributions',
  imports: [Card, MatButtonToggleModule],
  templateUrl: './contributions.html',
  styleUrl: './contributions.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Contributions {
  readonly risk = input.required<Risk>();

  protected readonly measure = signal<RiskMeasure>('es');
  protected readonly all = signal(false);
  protected readonly note = computed(
    () => `Each position’s part in ${WHOLE[this.measure()]()}, beside its share of value`,
  );
  private readonly shares = computed(() =>
    shares(this.risk(), this.measure()).filter((share) => share.ofRisk !== null),
  );
  protected readonly hidden = computed(() =>
    this.all() ? 0 : Math.max(0, this.shares().length - FIRST),
  );
  private readonly scale = computed(() =>
    scaleOf(this.shares().flatMap((share) => [share.ofValue, share.ofRisk])),
  );
  protected readonly zero = computed(() => this.scale().zero * 100);
  protected readonly rows = computed(() =>
    this.shares()
      .slice(0, this.all() ? undefined : FIRST)
      .map((share) => ({
        ...share,
        value: bar(share.ofValue, this.scale()),
        risk: bar(share.ofRisk, this.scale()),
        valueText: percent(share.ofValue, 1),
        riskText: percent(share.ofRisk, 1),
      })),
  );
  protected readonly table = computed<PlainTable>(() => ({
    columns: ['Position', 'Share of value', 'Share of risk'],
    rows: this.shares().map((share) => [share.ticker, share.ofValue, share.ofRisk]),
  }));
}
