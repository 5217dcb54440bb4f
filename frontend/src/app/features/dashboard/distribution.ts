import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';

import { Portfolio, Risk } from '../../core/api/types';
import { Card } from '../../ui/card';
import { Chart } from '../../ui/chart';
import { PlainTable } from '../../ui/csv';
import { exact, percent, wholeMoney } from '../../ui/format';
import { distributionOption } from './distribution-option';
import { Figure, confidenceOf, snapshotFigures } from './headline';

/** How today's positions would have done on each day of the window, with VaR and ES marked. */
@Component({
  selector: 'app-distribution',
  imports: [Card, Chart],
  template: `
    <app-card
      heading="A day’s profit and loss"
      [note]="note()"
      [table]="table()"
      file="scenario-distribution"
    >
      @if (risk().distribution; as distribution) {
        <app-chart [option]="option()" [label]="label()" [height]="268" />
      } @else {
        <p class="none">No scenario yet: no position has enough price history.</p>
      }
    </app-card>
  `,
  styles: `
    app-chart {
      padding: 0 12px 10px;
    }
    .none {
      min-height: 268px;
      padding: 24px 20px;
      color: var(--ink-soft);
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Distribution {
  readonly risk = input.required<Risk>();
  readonly portfolio = input.required<Portfolio>();

  private readonly lead = computed(() =>
    snapshotFigures(confidenceOf(this.portfolio()), this.risk()),
  );
  private readonly days = computed(() =>
    (this.risk().distribution?.counts ?? []).reduce((sum, count) => sum + count, 0),
  );

  protected readonly note = computed(() =>
    this.days() ? `Today’s positions on each of the last ${this.days()} trading days` : '',
  );
  protected readonly table = computed<PlainTable | null>(() => {
    const distribution = this.risk().distribution;
    if (!distribution) return null;
    return {
      columns: ['From', 'To', 'Days'],
      rows: distribution.counts.map((count, i) => [
        distribution.edges[i],
        distribution.edges[i + 1],
        count,
      ]),
      format: (value, column) =>
        column < 2 ? wholeMoney(value, this.portfolio().base_currency) : exact(value),
    };
  });
  protected readonly label = computed(() => {
    const { var: atRisk, es, confidence } = this.lead();
    const currency = this.portfolio().base_currency;
    const loss = ({ amount }: Figure) =>
      amount === null ? 'unknown' : wholeMoney(amount, currency);
    return `Histogram of one day’s profit and loss over ${this.days()} days. Value at Risk at ${confidence} percent: ${loss(atRisk)}; expected shortfall: ${loss(es)}. The table view has the figures.`;
  });
  protected readonly option = computed(() => {
    const { var: atRisk, es, confidence } = this.lead();
    const { distribution } = this.risk();
    const currency = this.portfolio().base_currency;
    const at = ({ amount }: Figure) => (amount === null ? null : -amount);
    return distributionOption({
      edges: distribution?.edges ?? [],
      counts: distribution?.counts ?? [],
      marks: [
        { name: `VaR ${confidence}`, at: at(atRisk) },
        { name: 'ES', at: at(es) },
      ],
      money: (amount) => wholeMoney(amount, currency),
      share: (fraction) => percent(fraction, 1),
    });
  });
}
