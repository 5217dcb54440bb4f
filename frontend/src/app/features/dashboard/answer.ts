import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';

import { Portfolio } from '../../core/api/types';
import { PortfolioFeed } from '../../core/live/portfolio-feed';
import { Flash } from '../../ui/flash';
import {
  clockTime,
  compactMoney,
  day,
  dayOfYear,
  fixed,
  money,
  percent,
  signed,
  wholeMoney,
} from '../../ui/format';
import { Sparkline } from '../../ui/sparkline';
import { Term, TermName } from '../../ui/term';
import {
  Figure,
  Measure,
  confidenceOf,
  leadFigures,
  lineRows,
  liveFigures,
  measured,
  rowBefore,
  tailOf,
} from './headline';
import { livePnl, liveSentence, liveTime } from './live-words';
import { Movement } from './movement';
import { between, shareBetween } from './spread';

interface Tile {
  id: string;
  term: TermName;
  name: string;
  /** The figure as shown, and exactly on hover. */
  figure: string;
  exact: string;
  /** Unit, confidence and horizon. */
  basis: string;
  /** The other way to say it: the loss in money, or as a fraction. */
  also: string;
  /** Between which figures the estimate lies, 9 times in 10; empty where that is not known. */
  range: string;
  line: (number | null)[];
  change: { text: string; since: string; tone: '' | 'gain' | 'loss' } | null;
}

/** What could I lose tomorrow? One sentence, then the figures behind it. */
@Component({
  selector: 'app-answer',
  imports: [Flash, Movement, Sparkline, Term],
  templateUrl: './answer.html',
  styleUrl: './answer.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Answer {
  readonly portfolio = input.required<Portfolio>();

  protected readonly feed = inject(PortfolioFeed);

  private readonly confidence = computed(() => confidenceOf(this.portfolio()));
  private readonly currency = computed(() => this.portfolio().base_currency);
  private readonly history = computed(() => lineRows(this.feed.history()));
  private readonly before = computed(() => {
    const snapshot = this.feed.snapshot();
    return rowBefore(this.feed.history(), snapshot?.as_of ?? null, snapshot?.snapshot_id ?? null);
  });
  private readonly lead = computed(() => {
    const live = this.feed.live();
    return live
      ? liveFigures(this.confidence(), live)
      : leadFigures(this.confidence(), this.feed.headline(), this.feed.snapshot());
  });
  private readonly level = computed(() =>
    percent(Number(this.confidence()) / 100, this.confidence() === '97.5' ? 1 : 0),
  );

  /** The mark of figures at live prices; null while they are the snapshot's. */
  protected readonly live = computed(() => {
    const live = this.feed.live();
    if (!live) return null;
    return {
      mark: live.feed.state === 'closed' ? 'closed' : 'live',
      words: liveSentence(live, this.feed.snapshot()?.positions.length ?? 0),
    };
  });

  /** The snapshot's intervals, while it is the snapshot that the figures come from. */
  private readonly intervals = computed(() => {
    if (this.feed.live()) return null;
    const snapshot = this.feed.snapshot();
    const isCurrent = snapshot?.computed_at === this.feed.headline()?.computedAt;
    return (isCurrent && snapshot?.intervals) || null;
  });
  protected readonly margin = computed(() => {
    const intervals = this.intervals();
    const figure = intervals?.amounts?.[`var_${tailOf(this.confidence())}_1d`];
    const range = between(figure, this.currency());
    return (
      intervals &&
      range && { ...range, sure: percent(intervals.confidence, 0), basis: intervals.basis }
    );
  });

  protected readonly sentence = computed(() => {
    const { var: atRisk, es, days } = this.lead();
    if (atRisk.amount === null) return null;
    return {
      calmDays: days - 1,
      days,
      loss: wholeMoney(atRisk.amount, this.currency()),
      share: atRisk.share === null ? '' : ` (${percent(atRisk.share)})`,
      worst: es.amount === null ? null : wholeMoney(es.amount, this.currency()),
    };
  });

  protected readonly waiting = computed(() =>
    this.feed.snapshot()?.positions.some(({ status }) => status === 'pending')
      ? 'Prices are being fetched; the figures appear here by themselves.'
      : 'No risk figure yet: no position has enough price history.',
  );

  protected readonly tiles = computed<Tile[]>(() => {
    const { nav, volatility, var: atRisk, es } = this.lead();
    const currency = this.currency();
    // As a share of value and in money, or in money alone where a share would say nothing.
    const both = ({ share, amount }: Figure) => {
      const inMoney = amount === null ? '' : wholeMoney(amount, currency);
      return share === null && inMoney
        ? { figure: inMoney, exact: money(amount, currency), also: '' }
        : { figure: percent(share), exact: percent(share, 6), also: inMoney };
    };
    const horizon = `${this.level()} confidence, 1 day`;
    const tail = tailOf(this.confidence());
    const range = (name: 'var' | 'es') => shareBetween(this.intervals()?.[`${name}_${tail}_1d`]);
    return [
      {
        ...this.common('nav', nav),
        term: 'value',
        name: 'Value',
        figure: compactMoney(nav, currency),
        exact: money(nav, currency),
        basis: currency,
        also: this.valuedAt(),
        range: '',
      },
      {
        ...this.common('volatility', volatility.share),
        ...both(volatility),
        term: 'volatility',
        name: 'Volatility',
        basis: 'a year',
        range: '',
      },
      {
        ...this.common('var', atRisk.share),
        ...both(atRisk),
        term: 'VaR',
        name: 'Value at Risk',
        basis: horizon,
        range: range('var'),
      },
      {
        ...this.common('es', es.share),
        ...both(es),
        term: 'ES',
        name: 'Expected shortfall',
        basis: horizon,
        range: range('es'),
      },
    ];
  });

  private valuedAt(): string {
    const live = this.feed.live();
    const asOf = this.feed.snapshot()?.as_of;
    return live ? liveTime(live) : asOf ? day(asOf) : '';
  }

  private common(measure: Measure, value: number | null): Pick<Tile, 'id' | 'line' | 'change'> {
    const confidence = this.confidence();
    return {
      id: measure,
      line: this.history().map((row) => measured(row, measure, confidence)),
      change: this.change(measure, value),
    };
  }

  private change(measure: Measure, value: number | null): Tile['change'] {
    const live = this.feed.live();
    if (live && measure === 'nav') return livePnl(live, this.currency());
    const before = this.before();
    const was = before && measured(before.row, measure, this.confidence());
    if (!before || was === null || value === null) return null;
    const difference = value - was;
    const since = before.earlierDay
      ? `since ${dayOfYear(before.row.as_of!)}`
      : `since ${clockTime(before.row.computed_at)}`;
    const amount =
      measure === 'nav'
        ? signed(difference, (money) => compactMoney(money, this.currency()))
        : `${signed(difference * 100, (points) => fixed(points))} pts`;
    const text = /[1-9]/.test(amount) ? amount : 'unchanged';
    const tone = measure !== 'nav' || difference === 0 ? '' : difference > 0 ? 'gain' : 'loss';
    return { text, since, tone };
  }
}
