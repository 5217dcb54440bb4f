import {
  ChangeDetectionStrategy,
  Component,
  ElementRef,
  OnInit,
  computed,
  effect,
  inject,
  input,
  output,
  signal,
  viewChild,
} from '@angular/core';
import {
  FormField,
  FormRoot,
  TreeValidationResult,
  form,
  maxLength,
  required,
  validate,
} from '@angular/forms/signals';
import { MatButton } from '@angular/material/button';
import { MatButtonToggleModule } from '@angular/material/button-toggle';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInput } from '@angular/material/input';

import { Api } from '../../core/api/api';
import { toFormErrors } from '../../core/api/form-errors';
import { renamed, toProblem } from '../../core/api/problem';
import { Portfolio, ShareTrade, Trade } from '../../core/api/types';
import { Draft } from '../../core/draft';
import { newIdempotencyKey } from '../../core/idempotency';
import { parseDecimal } from '../../ui/decimal';
import { currentLocale, money } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { TICKER, tradeToTry } from './effect';
import { TradeEffect } from './trade-effect';
import {
  EMPTY_TRADE,
  FIELD_OF,
  TradeModel,
  changes,
  fromTrade,
  toInput,
  totalOf,
  typed,
  withSideOfSign,
} from './trade-model';

const NOT_A_NUMBER = 'Write a number, such as 1250 or 0.5.';
const FIELDS = ['ticker', 'quantity', 'price', 'fee', 'executedAt', 'note'] as const;

/** Books a trade, or changes one that is given. What is typed survives refusals, lost connections and reloads. */
@Component({
  selector: 'app-trade-form',
  imports: [
    FormField,
    FormRoot,
    Icon,
    MatButton,
    MatButtonToggleModule,
    MatFormFieldModule,
    MatInput,
    TradeEffect,
  ],
  templateUrl: './trade-form.html',
  styleUrl: './trade-form.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class TradeForm implements OnInit {
  readonly portfolio = input.required<Portfolio>();
  /** The trade to change; null to book a new one. */
  readonly trade = input<ShareTrade | null>(null);
  readonly booked = output<Trade>();
  readonly changed = output();
  readonly cancelled = output();

  private readonly api = inject(Api);
  private readonly locale = currentLocale();
  private readonly tickerField = viewChild.required<ElementRef<HTMLInputElement>>('ticker');
  private draft: Draft<TradeModel> | null = null;
  /** Stays the same until the trade is booked or edited, so that sending it again books it only once. */
  private key = newIdempotencyKey();
  private sent = '';

  protected readonly model = signal<TradeModel>(EMPTY_TRADE);
  protected readonly problem = signal<string | null>(null);
  protected readonly more = signal(false);
  protected readonly form = form(
    this.model,
    (path) => {
      required(path.ticker, { message: 'Which ticker? For example AAPL.' });
      required(path.quantity, { message: 'How many?' });
      required(path.price, { message: 'At which price for one?' });
      for (const field of [path.quantity, path.price, path.fee]) {
        validate(field, ({ value }) => {
          const isNumber = value().trim() === '' || parseDecimal(value(), this.locale) !== null;
          return isNumber ? undefined : { kind: 'number', message: NOT_A_NUMBER };
        });
      }
      validate(path.ticker, ({ value }) =>
        value().trim() === '' || TICKER.test(value().trim())
          ? undefined
          : { kind: 'ticker', message: 'A ticker has no spaces: AAPL, BRK-B, SAP.DE.' },
      );
      validate(path.quantity, ({ value }) =>
        Number(parseDecimal(value(), this.locale) ?? NaN) === 0
          ? { kind: 'zero', message: 'A trade of zero changes nothing.' }
          : undefined,
      );
      validate(path.price, ({ value }) =>
        parseDecimal(value(), this.locale)?.startsWith('-')
          ? { kind: 'negative', message: 'Not below zero. To sell, choose Sell.' }
          : undefined,
      );
      maxLength(path.note, 1000, { message: 'At most 1,000 characters.' });
    },
    { submission: { action: () => this.send(), onInvalid: () => this.showHidden() } },
  );
  protected readonly total = computed(() => {
    const total = totalOf(this.model(), this.locale);
    return total === null ? null : money(total, this.portfolio().base_currency);
  });
  /** The trade as far as it can be tried; the same object while the same is typed. */
  protected readonly trial = computed(() => tradeToTry(this.model(), this.locale), {
    equal: (a, b) => JSON.stringify(a) === JSON.stringify(b),
  });

  constructor() {
    effect(() => {
      const model = this.model();
      const signless = withSideOfSign(model);
      if (signless !== model) this.model.set(signless);
      else if (model !== EMPTY_TRADE) this.draft?.write(model);
    });
  }

  ngOnInit(): void {
    const trade = this.trade();
    if (trade) {
      this.model.set(fromTrade(trade, this.locale));
      this.more.set(true);
      return;
    }
    this.draft = new Draft(`trade:${this.portfolio().id}`);
    const kept = this.draft.read(EMPTY_TRADE);
    this.model.set(kept);
    this.more.set(Boolean(kept.fee || kept.executedAt || kept.note));
  }

  /** Put the cursor where a new trade starts. */
  focus(): void {
    this.tickerField().nativeElement.focus();
  }

  /** Take a size that was worked out; a minus means to sell. */
  protected size(quantity: string): void {
    const sells = quantity.startsWith('-');
    const digits = typed(sells ? quantity.slice(1) : quantity, this.locale);
    this.model.update((model) => ({ ...model, side: sells ? 'sell' : 'buy', quantity: digits }));
  }

  private async send(): Promise<TreeValidationResult> {
    this.problem.set(null);
    try {
      const trade = this.trade();
      if (trade) await this.change(trade);
      else await this.book();
      return undefined;
    } catch (error) {
      const { fields, general } = toFormErrors(
        renamed(toProblem(error), FIELD_OF),
        this.form,
        FIELDS,
      );
      this.problem.set(general);
      this.showHidden(fields.map(({ fieldTree }) => fieldTree));
      return fields;
    }
  }

  private async book(): Promise<void> {
    const body = toInput(this.model(), this.locale);
    const content = JSON.stringify(body);
    if (content !== this.sent) this.key = newIdempotencyKey();
    this.sent = content;
    const { trade } = await this.api.bookTrade(this.portfolio().id, body, this.key);
    this.sent = '';
    this.draft?.clear();
    this.form().reset(EMPTY_TRADE);
    this.more.set(false);
    this.focus();
    this.booked.emit(trade);
  }

  private async change(trade: ShareTrade): Promise<void> {
    const body = changes(trade, this.model(), this.locale);
    if (Object.keys(body).length > 0) {
      await this.api.changeTrade(this.portfolio().id, trade.id, body);
    }
    this.changed.emit();
  }

  /** An error in a folded field must not stay hidden. */
  private showHidden(refused: readonly unknown[] = []): void {
    const folded = [this.form.fee, this.form.executedAt, this.form.note];
    if (folded.some((field) => refused.includes(field) || field().invalid())) this.more.set(true);
  }
}
