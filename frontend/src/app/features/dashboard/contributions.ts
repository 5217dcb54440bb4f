import { ChangeDetectionStrategy, Component, computed, input, signal } from '@angular/core';
import { MatButtonToggleModule } from '@angular/material/button-toggle';

import { Risk } from '../../core/api/types';
import { Card } from '../../ui/card';
import { PlainTable } from '../../ui/csv';
import { percent } from '../../ui/format';
import { Term } from '../../ui/term';
import { diversification } from './diversification';
import { Grouping, RiskMeasure, bar, groupingsOf, scaleOf, shares } from './shares';

const WHOLE: Record<RiskMeasure, () => string> = {
  es: () => `the average loss on the worst ${percent(0.025, 1)} of days`,
  var: () => `the loss at the ${percent(0.95, 0)} VaR`,
  volatility: () => 'the volatility',
};

/** `asset_class` as the reader calls it. */
function nameOf(grouping: Grouping): string {
  const words = grouping.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Rows shown before the reader asks for all. */
const FIRST = 20;

/** Why: where risk and value differ, one row a position, sector, asset class or currency. */
@Component({
  selector: 'app-contributions',
  imports: [Card, MatButtonToggleModule, Term],
  templateUrl: './contributions.html',
  styleUrl: './contributions.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Contributions {
  readonly risk = input.required<Risk>();

  protected readonly measure = signal<RiskMeasure>('es');
  protected readonly all = signal(false);
  private readonly wanted = signal<Grouping>('position');
  protected readonly groupings = computed(() =>
    groupingsOf(this.risk()).map((value) => ({ value, name: nameOf(value) })),
  );
  /** What was chosen, where the newest snapshot still tells it. */
  protected readonly grouping = computed(() =>
    this.groupings().some(({ value }) => value === this.wanted()) ? this.wanted() : 'position',
  );
  protected readonly groupName = computed(() => nameOf(this.grouping()));
  protected readonly note = computed(
    () =>
      `Each ${this.groupName().toLowerCase()}’s part in ${WHOLE[this.measure()]()}, beside its share of value`,
  );
  protected readonly spread = computed(() => diversification(this.risk()));
  private readonly shares = computed(() =>
    shares(this.risk(), this.measure(), this.grouping()).filter((share) => share.ofRisk !== null),
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
    columns: [this.groupName(), 'Share of value', 'Share of risk'],
    rows: this.shares().map((share) => [share.name, share.ofValue, share.ofRisk]),
  }));

  protected group(by: Grouping): void {
    this.wanted.set(by);
    this.all.set(false);
  }
}
