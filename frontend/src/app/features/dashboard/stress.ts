import { ChangeDetectionStrategy, Component, computed, inject, input, signal } from '@angular/core';

import { Api } from '../../core/api/api';
import { toProblem } from '../../core/api/problem';
import { Portfolio, Risk } from '../../core/api/types';
import { Card } from '../../ui/card';
import { PlainTable } from '../../ui/csv';
import { followed } from '../../ui/followed';
import { percent, signed, wholeMoney } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { Term } from '../../ui/term';
import {
  BASIS_NAMES,
  StressRow,
  episodeRows,
  factorRows,
  shockRows,
  stressScale,
  stressTable,
} from './stress-rows';

/** Positions shown of an opened scenario. */
const LARGEST = 8;

/** What today's positions would do in past crises, in market moves and in other weather. */
@Component({
  selector: 'app-stress',
  imports: [Card, Icon, Term],
  templateUrl: './stress.html',
  styleUrl: './stress.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Stress {
  readonly risk = input.required<Risk>();
  readonly portfolio = input.required<Portfolio>();

  private readonly api = inject(Api);
  private readonly answer = followed({
    params: () => {
      const snapshot = this.risk().snapshot_id;
      return snapshot === null ? undefined : { portfolio: this.portfolio().id, snapshot };
    },
    subject: (asked) => asked?.portfolio,
    read: ({ portfolio }, signal) => this.api.stress(portfolio, signal),
  });

  protected readonly stress = this.answer.value;
  protected readonly busy = this.answer.busy;
  protected readonly open = signal<string | null>(null);
  private readonly scale = computed(() => {
    const stress = this.stress();
    return stress ? stressScale(stress) : { zero: 0, unit: 1 };
  });
  protected readonly zero = computed(() => this.scale().zero * 100);
  protected readonly groups = computed(() => {
    const stress = this.stress();
    if (!stress) return [];
    const currency = this.portfolio().base_currency;
    return [
      { id: 'episodes', name: 'Past crises', rows: episodeRows(stress, this.scale(), currency) },
      {
        id: 'factors',
        name: 'If the market moved',
        rows: factorRows(stress, this.scale(), currency),
      },
    ].filter(({ rows }) => rows.length > 0);
  });
  protected readonly shocks = computed(() => {
    const stress = this.stress();
    return stress ? shockRows(stress) : [];
  });
  protected readonly today = computed(() => {
    const risk = this.risk();
    return {
      volatility: percent(risk.annualized_volatility),
      var95: percent(risk.var_95_1d),
      var99: percent(risk.var_99_1d),
    };
  });
  protected readonly isEmpty = computed(
    () => this.groups().length === 0 && this.shocks().length === 0,
  );
  protected readonly words = computed(() => {
    const error = this.answer.error();
    if (error) return `The scenarios cannot be shown: ${toProblem(error).detail}`;
    if (this.busy()) return 'The scenarios are on their way.';
    return 'This snapshot was made before scenarios were kept; the next one has them.';
  });
  protected readonly table = computed<PlainTable | null>(() => {
    const stress = this.stress();
    return stress && !this.isEmpty() ? stressTable(stress, this.portfolio().base_currency) : null;
  });

  protected toggle(row: StressRow): void {
    this.open.update((key) => (key === row.key ? null : row.key));
  }

  protected largest(row: StressRow) {
    const currency = this.portfolio().base_currency;
    return row.positions.slice(0, LARGEST).map(({ ticker, pnl, basis }) => ({
      ticker,
      amount: signed(pnl, (amount) => wholeMoney(amount, currency)),
      basis: BASIS_NAMES[basis],
    }));
  }
}
