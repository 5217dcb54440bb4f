import { ChangeDetectionStrategy, Component, computed, inject, signal } from '@angular/core';
import {
  FormField,
  FormRoot,
  TreeValidationResult,
  form,
  required,
  validate,
} from '@angular/forms/signals';
import { MatButton } from '@angular/material/button';
import { MAT_DIALOG_DATA, MatDialogModule, MatDialogRef } from '@angular/material/dialog';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInput } from '@angular/material/input';
import { MatSelectModule } from '@angular/material/select';

import { Api } from '../../core/api/api';
import { toFormErrors } from '../../core/api/form-errors';
import { renamed, toProblem } from '../../core/api/problem';
import { CashType, Portfolio, Trade } from '../../core/api/types';
import { newIdempotencyKey } from '../../core/idempotency';
import { parseDecimal } from '../../ui/decimal';
import { FORM_FIELDS } from '../../ui/form-fields';
import { currentLocale } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { CASH_KINDS, CashModel, FIELD_OF, fromEntry, newCash, toEntry } from './cash-model';

export interface CashToBook {
  portfolio: Portfolio;
  /** The entry to change; null to book a new one. */
  trade: Trade | null;
}

const FIELDS = [
  'kind',
  'ticker',
  'amount',
  'currency',
  'tax',
  'fee',
  'executedAt',
  'note',
] as const;

/** Books cash that came or went, or changes such an entry; closes with true once it is done. */
@Component({
  imports: [
    FormField,
    FormRoot,
    Icon,
    MatButton,
    MatDialogModule,
    MatFormFieldModule,
    MatInput,
    MatSelectModule,
  ],
  templateUrl: './cash-dialog.html',
  styleUrl: './cash-dialog.scss',
  providers: [FORM_FIELDS],
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class CashDialog {
  protected readonly data = inject<CashToBook>(MAT_DIALOG_DATA);
  protected readonly dialog = inject<MatDialogRef<CashDialog, boolean>>(MatDialogRef);
  private readonly api = inject(Api);
  private readonly locale = currentLocale();
  private readonly key = newIdempotencyKey();

  protected readonly kinds = CASH_KINDS;
  protected readonly problem = signal<string | null>(null);
  private readonly model = signal<CashModel>(
    this.data.trade
      ? fromEntry(this.data.trade, this.locale)
      : newCash(this.data.portfolio.base_currency),
  );
  /** Whether an instrument may, or must, be named. */
  protected readonly takesTicker = computed(
    () => !(['deposit', 'withdrawal'] as CashType[]).includes(this.model().kind),
  );
  protected readonly form = form(
    this.model,
    (path) => {
      required(path.amount, { message: 'How much?' });
      required(path.currency, { message: 'In which currency? For example EUR.' });
      validate(path.ticker, ({ value }) =>
        this.model().kind === 'dividend' && !value().trim()
          ? { kind: 'ticker', message: 'Which instrument paid it?' }
          : undefined,
      );
      for (const field of [path.amount, path.tax, path.fee]) {
        validate(field, ({ value }) => {
          const isNumber = value().trim() === '' || parseDecimal(value(), this.locale) !== null;
          return isNumber
            ? undefined
            : { kind: 'number', message: 'Write a number, such as 1250 or 0.5.' };
        });
      }
    },
    { submission: { action: () => this.send() } },
  );

  private async send(): Promise<TreeValidationResult> {
    this.problem.set(null);
    const { portfolio, trade } = this.data;
    try {
      const body = toEntry(this.model(), this.locale);
      if (trade) await this.api.changeTrade(portfolio.id, trade.id, body);
      else await this.api.bookTrade(portfolio.id, body, this.key);
      this.dialog.close(true);
      return undefined;
    } catch (error) {
      const { fields, general } = toFormErrors(
        renamed(toProblem(error), FIELD_OF),
        this.form,
        FIELDS,
      );
      this.problem.set(general);
      return fields;
    }
  }
}
