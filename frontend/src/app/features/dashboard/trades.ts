import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { MatButton, MatIconButton } from '@angular/material/button';
import { MatDialog } from '@angular/material/dialog';
import { MatSnackBar } from '@angular/material/snack-bar';
import { MatTooltip } from '@angular/material/tooltip';
import { RouterLink } from '@angular/router';
import { firstValueFrom } from 'rxjs';

import { toProblem } from '../../core/api/problem';
import { Portfolio, Trade, isOfShares } from '../../core/api/types';
import { PortfolioFeed } from '../../core/live/portfolio-feed';
import { Card } from '../../ui/card';
import { confirm } from '../../ui/confirm';
import { PlainTable } from '../../ui/csv';
import { day, moment } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { CashDialog, CashToBook } from './cash-dialog';
import { entryRow, entryWords } from './entry-words';
import { TradeBook } from './trade-book';
import { TradeDialog, TradeToChange } from './trade-dialog';

/** Every entry, newest first, to be changed or deleted. A deleted one can be brought back. */
@Component({
  selector: 'app-trades',
  imports: [Card, Icon, MatButton, MatIconButton, MatTooltip, RouterLink],
  templateUrl: './trades.html',
  styleUrl: './trades.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Trades {
  readonly portfolio = input.required<Portfolio>();

  protected readonly book = inject(TradeBook);
  private readonly feed = inject(PortfolioFeed);
  private readonly dialog = inject(MatDialog);
  private readonly snackBar = inject(MatSnackBar);

  protected readonly rows = computed(() =>
    this.book.trades().map((trade) => ({
      ...entryRow(trade),
      words: entryWords(trade),
      day: day(trade.executed_at),
      moment: moment(trade.executed_at),
      changed: trade.updated_at !== trade.created_at,
    })),
  );
  protected readonly table = computed<PlainTable>(() => ({
    columns: [
      'Executed at',
      'Type',
      'Ticker',
      'Quantity',
      'Price',
      'Amount',
      'Currency',
      'Fee',
      'Tax',
      'Note',
    ],
    rows: this.book
      .trades()
      .map((t) => [
        t.executed_at,
        t.type,
        t.ticker,
        t.quantity,
        t.price,
        t.amount,
        t.currency,
        t.fee,
        t.tax,
        t.note,
      ]),
  }));

  protected async change(trade: Trade): Promise<void> {
    const portfolio = this.portfolio();
    const opened = isOfShares(trade)
      ? this.dialog.open<TradeDialog, TradeToChange, boolean>(TradeDialog, {
          data: { portfolio, trade },
          width: '480px',
        })
      : this.dialog.open<CashDialog, CashToBook, boolean>(CashDialog, {
          data: { portfolio, trade },
          width: '480px',
        });
    if (await firstValueFrom(opened.afterClosed())) await this.feed.refresh();
  }

  protected async bookCash(): Promise<void> {
    const opened = this.dialog.open<CashDialog, CashToBook, boolean>(CashDialog, {
      data: { portfolio: this.portfolio(), trade: null },
      width: '480px',
    });
    if (await firstValueFrom(opened.afterClosed())) await this.feed.refresh();
  }

  protected async delete(trade: Trade): Promise<void> {
    const words = entryWords(trade);
    const sure = await confirm(this.dialog, {
      title: `Delete the ${words}?`,
      text: `It was booked for ${day(trade.executed_at)}. The figures will be computed without it; what it was stays in the audit trail.`,
      action: 'Delete entry',
    });
    if (!sure) return;
    try {
      await this.book.delete(trade);
      this.snackBar
        .open(`Deleted: ${words}.`, 'Undo', { duration: 12_000 })
        .onAction()
        .subscribe(() => void this.restore(trade));
    } catch (error) {
      this.snackBar.open(toProblem(error).detail, 'Close');
    }
  }

  private async restore(trade: Trade): Promise<void> {
    try {
      await this.book.restore(trade);
    } catch (error) {
      // The trade is held here until it is back in the book.
      this.snackBar
        .open(`Not brought back yet: ${toProblem(error).detail}`, 'Try again')
        .onAction()
        .subscribe(() => void this.restore(trade));
    }
  }
}
