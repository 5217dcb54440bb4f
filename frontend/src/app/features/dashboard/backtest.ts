import {
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  inject,
  input,
  signal,
} from '@angular/core';
import { MatButton } from '@angular/material/button';
import { MatButtonToggleModule } from '@angular/material/button-toggle';

import { Api } from '../../core/api/api';
import { toProblem } from '../../core/api/problem';
import { Portfolio, Risk, RiskMethod } from '../../core/api/types';
import { Card } from '../../ui/card';
import { Chart } from '../../ui/chart';
import { PlainTable } from '../../ui/csv';
import { followed } from '../../ui/followed';
import { day, exact, fixed, moment, percent } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { backtestOption } from './backtest-option';
import {
  DrawnLevel,
  Level,
  countSentence,
  exceededDays,
  hasLiveSeries,
  liveCount,
  liveSeries,
  storedSeries,
  verdict,
} from './exceedances';
import { METHOD_NAMES } from './method-names';

/** While a backtest is being computed, ask this often whether it is done. */
const POLL_MS = 4000;
/** Positions that have changed are backtested within a minute or two, by themselves: look so often, so many times. */
const WATCH_MS = 30_000;
const WATCHES = 10;

const LEVELS: readonly Level[] = ['95', '97.5', '99'];

/** Can I trust it? Each day's result against the VaR that was said for it, live first. */
@Component({
  selector: 'app-backtest',
  imports: [Card, Chart, Icon, MatButton, MatButtonToggleModule],
  templateUrl: './backtest.html',
  styleUrl: './backtest.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Backtest {
  readonly risk = input.required<Risk>();
  readonly portfolio = input.required<Portfolio>();

  private readonly api = inject(Api);
  private readonly answer = followed({
    params: () => {
      const snapshot = this.risk().snapshot_id;
      return snapshot === null ? undefined : { portfolio: this.portfolio().id, snapshot };
    },
    subject: (asked) => asked?.portfolio,
    read: ({ portfolio }, signal) => this.api.backtest(portfolio, signal),
  });

  protected readonly backtest = this.answer.value;
  protected readonly level = signal<DrawnLevel>('95');
  protected readonly asking = signal(false);
  private readonly refused = signal<string | null>(null);
  /** The snapshot whose backtest is looked for, and how often it has been. */
  private watched: number | null = null;
  private watches = 0;

  protected readonly isLive = computed(() => {
    const backtest = this.backtest();
    return backtest !== null && hasLiveSeries(backtest);
  });
  private readonly series = computed(() => {
    const backtest = this.backtest();
    if (backtest && this.isLive()) return liveSeries(backtest.live.days, this.level());
    return storedSeries(backtest ?? { series: null }, this.level());
  });
  protected readonly hasSeries = computed(() => this.series().dates.length > 0);
  protected readonly span = computed(() => {
    const { dates } = this.series();
    return { from: day(dates[0]), to: day(dates.at(-1)) };
  });
  private readonly scores = computed(() => {
    const backtest = this.backtest();
    return (backtest?.method && backtest.methods[backtest.method]?.[this.level()]) || null;
  });

  protected readonly liveWords = computed(() => {
    const backtest = this.backtest();
    if (!backtest) return '';
    const { n, exceedances } = liveCount(backtest.live, this.level());
    if (n === 0) return 'Served figures are held against each day’s result from tomorrow on.';
    return `Served figures: ${countSentence(n, exceedances, this.level())}`;
  });
  protected readonly storedWords = computed(() => {
    const scores = this.scores();
    const backtest = this.backtest();
    if (!scores || !backtest || scores.n === 0) return '';
    const span =
      backtest.start && backtest.end ? ` ${day(backtest.start)} to ${day(backtest.end)}` : '';
    const count = countSentence(scores.n, scores.exceedances, this.level());
    const whose =
      backtest.snapshot_id === this.risk().snapshot_id
        ? 'today’s positions'
        : `the positions of ${moment(backtest.computed_at)}`;
    return `Backtest of ${whose}${span}: ${count} ${verdict(scores, this.level())}`;
  });
  /** Why there is no backtest, or what is being done about it; empty where there is one. */
  protected readonly words = computed(() => {
    const backtest = this.backtest();
    const error = this.answer.error();
    const refused = this.refused();
    if (refused) return `The backtest was not started: ${refused}`;
    if (error && !backtest) return `The backtest cannot be shown: ${toProblem(error).detail}`;
    switch (backtest?.state) {
      case undefined:
        return 'The backtest is on its way.';
      case 'none':
        return backtest?.reason ?? 'These positions have not been backtested yet.';
      case 'computing':
        return 'The backtest is being computed; it appears here by itself.';
      case 'failed':
        return backtest?.reason ?? 'The backtest failed; the reason is not known.';
      default:
        return '';
    }
  });
  /** A picture is on its way, and its place is kept. */
  protected readonly isComing = computed(() => {
    const state = this.backtest()?.state;
    return state === 'computing' || (state === undefined && this.answer.busy());
  });
  protected readonly canAsk = computed(() => {
    const state = this.backtest()?.state;
    return state !== undefined && state !== 'computing';
  });

  protected readonly label = computed(() => {
    const series = this.series();
    return `Chart of each day’s profit and loss against Value at Risk at ${this.level()} percent, ${this.span().from} to ${this.span().to}: beyond it on ${exceededDays(series).length} of ${series.dates.length} days. The table view has the tests.`;
  });
  protected readonly option = computed(() =>
    backtestOption({
      ...this.series(),
      name: `VaR ${this.level()}`,
      day,
      share: (fraction) => percent(fraction, 1),
    }),
  );
  protected readonly table = computed<PlainTable | null>(() => {
    const methods = this.backtest()?.methods;
    if (!methods) return null;
    const rows = (Object.keys(METHOD_NAMES) as RiskMethod[]).flatMap((method) =>
      LEVELS.flatMap((level) => {
        const scores = methods[method]?.[level];
        if (!scores) return [];
        return [
          [
            `${METHOD_NAMES[method]}, ${level}`,
            scores.n,
            scores.exceedances,
            scores.exceedance_rate,
            scores.kupiec_p,
            scores.independence_p,
            scores.conditional_coverage_p,
            scores.z2,
          ],
        ];
      }),
    );
    if (rows.length === 0) return null;
    return {
      columns: [
        'Method and level',
        'Days',
        'Exceeded',
        'Rate',
        'Kupiec p',
        'Independence p',
        'Coverage p',
        'Z2',
      ],
      rows,
      format: (value, column) =>
        column < 3 ? exact(value) : column === 3 ? percent(value) : fixed(value, 3),
    };
  });

  constructor() {
    effect((onCleanup) => {
      const backtest = this.backtest();
      if (!backtest || this.answer.busy()) return;
      const isComputing = backtest.state === 'computing';
      const snapshot = this.risk().snapshot_id;
      if (snapshot !== this.watched) [this.watched, this.watches] = [snapshot, 0];
      const isSettled = backtest.state === 'failed' || backtest.snapshot_id === snapshot;
      if (!isComputing && (isSettled || this.watches >= WATCHES)) return;
      if (!isComputing) this.watches += 1;
      const timer = setTimeout(() => this.answer.reload(), isComputing ? POLL_MS : WATCH_MS);
      onCleanup(() => clearTimeout(timer));
    });
  }

  protected async ask(): Promise<void> {
    this.asking.set(true);
    this.refused.set(null);
    try {
      await this.api.wantBacktest(this.portfolio().id);
      this.answer.reload();
    } catch (error) {
      this.refused.set(toProblem(error).detail);
    } finally {
      this.asking.set(false);
    }
  }
}
