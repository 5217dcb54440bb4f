import {
  ChangeDetectionStrategy,
  Component,
  OnInit,
  computed,
  inject,
  signal,
} from '@angular/core';
import { MatButton } from '@angular/material/button';
import { MatDialog } from '@angular/material/dialog';
import { MatSnackBar } from '@angular/material/snack-bar';

import { Api } from '../../core/api/api';
import { toProblem } from '../../core/api/problem';
import { PriceDetail, PriceStanding } from '../../core/api/types';
import { confirm } from '../../ui/confirm';
import { day, exact, moment } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { STATES, needsLooking, remarksOn, restated, splitsOf } from './price-words';

/** How every price stands that a portfolio of the reader rests on; what is held back is decided here. */
@Component({
  imports: [Icon, MatButton],
  templateUrl: './prices.html',
  styleUrl: './prices.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class Prices implements OnInit {
  private readonly api = inject(Api);
  private readonly dialog = inject(MatDialog);
  private readonly snackBar = inject(MatSnackBar);

  protected readonly standings = signal<PriceStanding[] | null>(null);
  protected readonly problem = signal<string | null>(null);
  /** The instruments that are open, by ticker. */
  protected readonly details = signal<Record<string, PriceDetail>>({});

  protected readonly states = STATES;
  protected readonly day = day;
  protected readonly moment = moment;
  protected readonly exact = exact;
  protected readonly restated = restated;
  protected readonly remarksOn = remarksOn;
  protected readonly splitsOf = splitsOf;
  /** What needs a decision or a look comes first. */
  protected readonly rows = computed(() =>
    [...(this.standings() ?? [])].sort(
      (a, b) =>
        Number(needsLooking(b)) - Number(needsLooking(a)) || a.ticker.localeCompare(b.ticker),
    ),
  );
  protected readonly held = computed(() =>
    (this.standings() ?? []).reduce((sum, { held }) => sum + held, 0),
  );

  ngOnInit(): void {
    void this.load();
  }

  protected async load(): Promise<void> {
    this.problem.set(null);
    try {
      const standings = await this.api.prices();
      this.standings.set(standings);
      await Promise.all(
        standings.filter(({ held }) => held > 0).map((one) => this.open(one.ticker)),
      );
    } catch (error) {
      this.problem.set(toProblem(error).detail);
    }
  }

  protected async toggle(ticker: string): Promise<void> {
    if (!this.details()[ticker]) return this.open(ticker);
    this.details.update((details) =>
      Object.fromEntries(Object.entries(details).filter(([name]) => name !== ticker)),
    );
  }

  protected async decide(
    ticker: string,
    on: string,
    decision: 'release' | 'reject',
  ): Promise<void> {
    const releases = decision === 'release';
    const sure = await confirm(this.dialog, {
      title: `${releases ? 'Believe' : 'Reject'} the price of ${ticker} on ${day(on)}?`,
      text: releases
        ? 'It becomes a price for every portfolio of this installation, and the figures are computed anew.'
        : 'It stays out for good, however often the source repeats it.',
      action: releases ? 'Believe it' : 'Reject it',
    });
    if (!sure) return;
    try {
      const detail = await this.api.decidePrice(ticker, on, decision);
      this.details.update((details) => ({ ...details, [ticker]: detail }));
      this.standings.set(await this.api.prices());
    } catch (error) {
      this.snackBar.open(toProblem(error).detail, 'Close');
    }
  }

  protected async refresh(ticker: string): Promise<void> {
    try {
      await this.api.refreshPrice(ticker);
      this.snackBar.open(`The prices of ${ticker} are being fetched.`, undefined, {
        duration: 5000,
      });
    } catch (error) {
      this.snackBar.open(toProblem(error).detail, 'Close');
    }
  }

  private async open(ticker: string): Promise<void> {
    try {
      const detail = await this.api.price(ticker);
      this.details.update((details) => ({ ...details, [ticker]: detail }));
    } catch (error) {
      this.snackBar.open(toProblem(error).detail, 'Close');
    }
  }
}
