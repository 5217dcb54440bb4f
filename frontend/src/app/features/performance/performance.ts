import { ChangeDetectionStrategy, Component, computed, inject, input, signal } from '@angular/core';
import { MatButtonToggleModule } from '@angular/material/button-toggle';

import { Api } from '../../core/api/api';
import { toProblem } from '../../core/api/problem';
import { Portfolio, Risk } from '../../core/api/types';
import { Card } from '../../ui/card';
import { Chart } from '../../ui/chart';
import { PlainTable } from '../../ui/csv';
import { followed } from '../../ui/followed';
import { NO_FIGURE, day, money, percent, signed, wholeMoney } from '../../ui/format';
import { Term, TermName } from '../../ui/term';
import { performanceOption } from './performance-option';
import { PERIODS, Period, beginning } from './periods';
import { flowSentence, hasPeriod, returnSentences } from './return-words';

interface Return {
  id: string;
  term: TermName;
  name: string;
  figure: string;
  /** The same, a year; empty for less than one. */
  yearly: string;
  tone: '' | 'gain' | 'loss';
}

/** What has it earned? Time- and money-weighted return of a period, and the way there. */
@Component({
  selector: 'app-performance',
  imports: [Card, Chart, MatButtonToggleModule, Term],
  templateUrl: './performance.html',
  styleUrl: './performance.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Performance {
  readonly risk = input.required<Risk>();
  readonly portfolio = input.required<Portfolio>();

  private readonly api = inject(Api);
  protected readonly periods = PERIODS;
  protected readonly period = signal<Period>('year');

  private readonly answer = followed({
    params: () => {
      const { snapshot_id: snapshot, as_of } = this.risk();
      if (snapshot === null) return undefined;
      const lastDay = as_of ?? new Date().toISOString().slice(0, 10);
      const from = beginning(this.period(), lastDay);
      return { portfolio: this.portfolio().id, snapshot, from };
    },
    subject: (asked) => asked?.portfolio,
    read: ({ portfolio, from }, signal) => this.api.performance(portfolio, from, signal),
  });

  protected readonly performance = this.answer.value;
  protected readonly busy = this.answer.busy;
  protected readonly problem = computed(() => {
    const error = this.answer.error();
    return error ? toProblem(error).detail : null;
  });
  protected readonly hasPeriod = computed(() => {
    const performance = this.performance();
    return performance !== null && hasPeriod(performance);
  });
  private readonly currency = computed(() => this.portfolio().base_currency);

  protected readonly returns = computed<Return[]>(() => {
    const found = this.hasPeriod() ? this.performance() : null;
    const figure = (fraction: number | null | undefined, yearly: number | null | undefined) => ({
      figure: signed(fraction, percent),
      yearly: typeof yearly === 'number' ? `${signed(yearly, percent)} a year` : '',
      tone: tone(fraction),
    });
    return [
      {
        id: 'time-weighted',
        term: 'time-weighted',
        name: 'Time-weighted',
        ...figure(found?.time_weighted, found?.time_weighted_annualised),
      },
      {
        id: 'money-weighted',
        term: 'money-weighted',
        name: 'Money-weighted',
        ...figure(found?.money_weighted, found?.money_weighted_annualised),
      },
    ];
  });
  protected readonly profit = computed(() => {
    const profit = this.hasPeriod() ? (this.performance()?.profit ?? null) : null;
    return {
      figure: signed(profit, (amount) => wholeMoney(amount, this.currency())),
      exact: profit === null ? NO_FIGURE : money(profit, this.currency()),
      tone: tone(profit),
    };
  });
  protected readonly sentences = computed(() => {
    const performance = this.performance();
    return performance ? returnSentences(performance) : [];
  });
  protected readonly flows = computed(() => {
    const performance = this.performance();
    return performance ? flowSentence(performance) : '';
  });
  protected readonly span = computed(() => ({
    from: day(this.performance()?.from),
    to: day(this.performance()?.to),
  }));
  protected readonly hasLine = computed(
    () =>
      this.hasPeriod() &&
      (this.performance()?.series ?? []).filter((one) => one.time_weighted !== null).length > 1,
  );

  protected readonly label = computed(() => {
    const { from, to } = this.span();
    const total = this.returns()[0].figure;
    return `Chart of the time-weighted return from ${from} to ${to}, ${total} in all. The table view has the value of each day.`;
  });
  protected readonly option = computed(() => {
    const series = this.performance()?.series ?? [];
    return performanceOption({
      dates: series.map((one) => one.day),
      growth: series.map((one) => one.time_weighted),
      values: series.map((one) => one.value),
      day,
      share: (fraction) => signed(fraction, percent),
      axis: (fraction) => percent(fraction, Math.abs(fraction % 0.01) < 1e-9 ? 0 : 1),
      money: (amount) => money(amount, this.currency()),
    });
  });
  protected readonly table = computed<PlainTable | null>(() => {
    const series = this.performance()?.series ?? [];
    if (series.length === 0) return null;
    return {
      columns: ['Day', `Value (${this.currency()})`, 'Time-weighted return'],
      rows: series.map((one) => [one.day, one.value, one.time_weighted]),
      format: (value, column) =>
        column === 1 ? money(value, this.currency()) : signed(value, percent),
    };
  });
}

function tone(value: number | null | undefined): Return['tone'] {
  if (!value) return '';
  return value > 0 ? 'gain' : 'loss';
}
