import {
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  inject,
  input,
  numberAttribute,
  signal,
  untracked,
  viewChild,
} from '@angular/core';
import { MatButton } from '@angular/material/button';
import { MatSnackBar } from '@angular/material/snack-bar';
import { Title } from '@angular/platform-browser';
import { RouterLink } from '@angular/router';

import { toProblem } from '../../core/api/problem';
import { RiskMethod, Trade } from '../../core/api/types';
import { PortfolioFeed } from '../../core/live/portfolio-feed';
import { Portfolios } from '../../core/portfolios';
import { Card } from '../../ui/card';
import { entryWords } from './entry-words';
import { Icon } from '../../ui/icon';
import { Performance } from '../performance/performance';
import { Answer } from './answer';
import { Backtest } from './backtest';
import { Contributions } from './contributions';
import { Correlation } from './correlation';
import { Distribution } from './distribution';
import { FreshnessChip } from './freshness-chip';
import { Holdings } from './holdings';
import { Methods } from './methods';
import { Stress } from './stress';
import { TradeBook } from './trade-book';
import { TradeForm } from './trade-form';
import { Trades } from './trades';
import { caveats } from './trust';

const METHODS: Record<RiskMethod, string> = {
  historical: 'historical simulation',
  covariance: 'the covariance method',
  ewma: 'EWMA covariance',
  filtered: 'filtered historical simulation',
  student_t: 'the Student-t covariance method',
};

/** One portfolio: what could be lost, why, whether to trust it, and what is booked. */
@Component({
  imports: [
    Answer,
    Backtest,
    Card,
    Contributions,
    Correlation,
    Distribution,
    FreshnessChip,
    Holdings,
    Icon,
    MatButton,
    Methods,
    Performance,
    RouterLink,
    Stress,
    TradeForm,
    Trades,
  ],
  providers: [PortfolioFeed, TradeBook],
  templateUrl: './dashboard.html',
  styleUrl: './dashboard.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class Dashboard {
  readonly portfolioId = input.required({ transform: numberAttribute });

  protected readonly feed = inject(PortfolioFeed);
  private readonly book = inject(TradeBook);
  private readonly portfolios = inject(Portfolios);
  private readonly snackBar = inject(MatSnackBar);
  private readonly title = inject(Title);
  private readonly tradeForm = viewChild(TradeForm);

  protected readonly recomputing = signal(false);
  protected readonly portfolio = computed(() => this.portfolios.find(this.portfolioId()));
  protected readonly risk = this.feed.snapshot;
  protected readonly caveats = computed(() => {
    const risk = this.risk();
    return risk ? caveats(risk) : [];
  });
  /** Nothing booked: the page shows the way to the first trade instead of empty charts. */
  protected readonly isEmpty = computed(() => {
    const risk = this.risk();
    return risk !== null && risk.positions.length === 0 && this.book.trades().length === 0;
  });
  protected readonly hasFigures = computed(() => (this.risk()?.positions.length ?? 0) > 0);
  protected readonly basis = computed(() => {
    const risk = this.risk();
    const days = risk?.coverage?.observations;
    if (!risk?.method || !days) return '';
    return `By ${METHODS[risk.method]} over ${days} trading days${risk.benchmark ? `; benchmark ${risk.benchmark}` : ''}.`;
  });

  private readonly revision = computed(() => {
    const risk = this.risk();
    return risk && Math.max(risk.wanted_revision, this.feed.headline()?.revision ?? 0);
  });

  constructor() {
    effect(() => {
      const id = this.portfolioId();
      untracked(() => {
        if (!this.portfolio()) return;
        void this.feed.open(id);
        void this.book.open(id);
      });
    });
    effect(() => this.title.setTitle(`${this.portfolio()?.name ?? 'Not found'} · Tailwatch`));
    // Whatever is booked, here or elsewhere, shows up as a new revision.
    effect(() => {
      const revision = this.revision();
      if (revision !== null) untracked(() => void this.book.follow(revision));
    });
  }

  protected addTrade(): void {
    this.tradeForm()?.focus();
  }

  protected onBooked(trade: Trade): void {
    this.snackBar.open(`Booked: ${entryWords(trade)}.`, undefined, { duration: 5000 });
    void this.feed.refresh();
  }

  protected async recompute(): Promise<void> {
    this.recomputing.set(true);
    try {
      await this.feed.recompute();
    } catch (error) {
      this.snackBar.open(toProblem(error).detail, 'Close');
    } finally {
      this.recomputing.set(false);
    }
  }
}
