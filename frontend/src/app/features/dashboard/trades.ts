import { ChangeDetectionStrategy, Component, computed, inject, input } from '@angular/core';
import { MatIconButton } from '@angular/material/button';
import { MatDialog } from '@angular/material/dialog';
import { MatSnackBar } from '@angular/material/snack-bar';
import { MatTooltip } from '@angular/material/tooltip';
import { firstValueFrom } from 'rxjs';

import { toProblem } from '../../core/api/problem';
import { Portfolio, Trade } from '../../core/api/types';
import { PortfolioFeed } from '../../core/live/portfolio-feed';
import { Card } from '../../ui/card';
import { confirm } from '../../ui/confirm';
import { PlainTable } from '../../ui/csv';
import { multiply, negate } from '../../ui/decimal';
import { day, exact, moment, money } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { TradeBook } from './trade-book';
import { TradeDialog, TradeToChange } from './trade-dialog';

/** Every trade, newest first, to be changed or deleted. A deleted one can be brought back. */
@Component({
  selector: 'app-trades',
  imports: [Card, Icon, MatIconButton, MatTooltip],
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
      trade,
      sells: trade.quantity.startsWith('-'),
      day: day(trade.executed_at),
      moment: moment(trade.executed_at),
      quantity: exact(absolute(trade.quantity)),
      price: exact(trade.price, 2),
      amount: money(absolute(multiply(trade.quantity, trade.price)), trade.currency),
      fee: Number(trade.fee) === 0 ? '' : `fee ${money(trade.fee, trade.currency)}`,
    })),
  );
  protected readonly table = computed<PlainTable>(() => ({
    columns: ['Executed at', 'Ticker', 'Quantity', 'Price', 'Currency', 'Fee', 'Note'],
    rows: this.book
      .trades()
      .map((t) => [t.executed_at, t.ticker, t.quantity, t.price, t.currency, t.fee, t.note]),
  }));

  protected async change(trade: Trade): Promise<void> {
    const data = { portfolio: this.portfolio(), trade };
    const opened = this.dialog.open<TradeDialog, TradeToChange, boolean>(TradeDialog, {
      data,
      width: '480px',
    });
    if (await firstValueFrom(opened.afterClosed())) await this.feed.refresh();
  }

  protected async delete(trade: Trade): Promise<void> {
    const name = `${exact(absolute(trade.quantity))} ${trade.ticker}`;
    const verb = trade.quantity.startsWith('-') ? 'sale' : 'purchase';
    const sure = await confirm(this.dialog, {
      title: `Delete the ${verb} of ${name}?`,
      text: `It was booked for ${day(trade.executed_at)} at ${exact(trade.price, 2)}. The figures will be computed without it.`,
      action: 'Delete trade',
    });
    if (!sure) return;
    try {
      await this.book.delete(trade);
      this.snackBar
        .open(`Deleted: ${verb} of ${name}.`, 'Undo', { duration: 12_000 })
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

const absolute = (value: string) => (value.startsWith('-') ? negate(value) : value);
