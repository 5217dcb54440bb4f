import {
  ChangeDetectionStrategy,
  Component,
  computed,
  inject,
  input,
  linkedSignal,
  output,
} from '@angular/core';

import { Api } from '../../core/api/api';
import { toProblem } from '../../core/api/problem';
import { Portfolio, PreviewRequest } from '../../core/api/types';
import { PortfolioFeed } from '../../core/live/portfolio-feed';
import { followed, pause } from '../../ui/followed';
import { currentLocale } from '../../ui/format';
import { TradeToTry, effectRows, hedgeSentence, leftOut, sizedTrade, typedShare } from './effect';
import { confidenceOf, tailOf } from './headline';

/** Typing is over when nothing was typed for this long. */
const SETTLED_MS = 350;

interface Asked {
  portfolio: number;
  /** A new one makes the effect another. */
  snapshot: number | null;
  body: PreviewRequest;
}

/** What the trade being typed would do to the figures. It only tells: booking never waits for it. */
@Component({
  selector: 'app-trade-effect',
  templateUrl: './trade-effect.html',
  styleUrl: './trade-effect.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class TradeEffect {
  readonly portfolio = input.required<Portfolio>();
  readonly trade = input.required<TradeToTry | null>();
  /** The reader takes the size that meets the limit: its quantity, with its sign. */
  readonly sized = output<string>();

  private readonly api = inject(Api);
  private readonly feed = inject(PortfolioFeed);
  private readonly locale = currentLocale();
  /** What was asked on top goes away with the trade it was asked about. */
  private readonly hasTrade = computed(() => this.trade() !== null);
  protected readonly limit = linkedSignal({
    source: this.hasTrade,
    computation: (): string | null => null,
  });
  protected readonly hedges = linkedSignal({ source: this.hasTrade, computation: () => false });

  protected readonly confidence = computed(() => confidenceOf(this.portfolio()));
  private readonly share = computed(() => typedShare(this.limit() ?? '', this.locale));
  private readonly request = computed<Asked | undefined>(
    () => {
      const trade = this.trade();
      // Read without a trade as well: what is not read is not taken back.
      const [share, hedges] = [this.share(), this.hedges()];
      if (!trade) return undefined;
      const figure = `var_${tailOf(this.confidence())}_1d` as const;
      const body: PreviewRequest = {
        trades: [trade],
        ...(share !== null && { limit: { figure, value: share }, ticker: trade.ticker }),
        ...(hedges && { hedge: true }),
      };
      const snapshot = this.feed.snapshot()?.snapshot_id ?? null;
      return { portfolio: this.portfolio().id, snapshot, body };
    },
    { equal: (a, b) => JSON.stringify(a) === JSON.stringify(b) },
  );
  private readonly answer = followed({
    params: this.request,
    subject: (asked) => asked && `${asked.portfolio} ${asked.body.trades[0].ticker}`,
    read: async ({ portfolio, body }, signal) => {
      await pause(SETTLED_MS, signal);
      return this.api.preview(portfolio, body, signal);
    },
  });
  protected readonly busy = this.answer.busy;
  private readonly preview = computed(() => (this.answer.error() ? null : this.answer.value()));
  protected readonly rows = computed(() => {
    const preview = this.preview();
    return preview ? effectRows(preview, this.confidence(), this.portfolio().base_currency) : [];
  });
  protected readonly notes = computed(() => {
    const preview = this.preview();
    return preview ? [...leftOut(preview), ...preview.warnings.map(({ message }) => message)] : [];
  });
  protected readonly size = computed(() => {
    const preview = this.preview();
    const trade = this.trade();
    if (this.limit() === null || !preview || !trade || this.busy()) return null;
    return sizedTrade(preview, trade);
  });
  protected readonly badLimit = computed(() => {
    const limit = this.limit();
    return limit !== null && limit.trim() !== '' && this.share() === null;
  });
  protected readonly hedge = computed(() => {
    const preview = this.preview();
    if (!this.hedges() || !preview || this.busy()) return null;
    return hedgeSentence(preview, this.portfolio().base_currency);
  });
  protected readonly words = computed(() => {
    if (!this.trade()) return 'What the trade does to the figures shows here before it is booked.';
    const error = this.answer.error();
    return error ? `The effect cannot be shown: ${toProblem(error).detail}` : 'Reckoning…';
  });
  /** For screen readers, once the figures have settled. */
  protected readonly spoken = computed(() => {
    if (this.busy() || this.rows().length === 0) return '';
    return this.rows()
      .map(({ name, before, after }) => `${name} from ${before} to ${after}`)
      .join(', ');
  });

  protected type(event: Event): void {
    this.limit.set((event.target as HTMLInputElement).value);
  }

  /** Enter in the limit's field asks for nothing: it must not book the trade around it. */
  protected keep(event: Event): void {
    event.preventDefault();
  }
}
