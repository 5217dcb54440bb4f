import { ChangeDetectionStrategy, Component, computed, inject, input, signal } from '@angular/core';

import { Portfolio, Risk } from '../../core/api/types';
import { PortfolioFeed } from '../../core/live/portfolio-feed';
import { Card } from '../../ui/card';
import { PlainTable } from '../../ui/csv';
import { Flash } from '../../ui/flash';
import { day, exact, fixed, money, percent, signed } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { narrow } from '../../ui/narrow';
import { SortKey, holdingRows } from './holding-rows';

/** Rows shown before the reader asks for all. */
const FIRST = 50;

const COLUMNS: { key: SortKey | null; name: string }[] = [
  { key: 'ticker', name: 'Position' },
  { key: null, name: 'Quantity' },
  { key: null, name: 'Price' },
  { key: 'value', name: 'Value' },
  { key: null, name: 'Share of value' },
  { key: 'gain', name: 'Gain or loss' },
  { key: 'volatility', name: 'Volatility' },
  { key: 'beta', name: 'Beta' },
  { key: 'ofRisk', name: 'Share of risk' },
];

/** What is held, what it is worth, and what risk it brings: a table, or cards where the page is narrow. */
@Component({
  selector: 'app-holdings',
  imports: [Card, Flash, Icon],
  templateUrl: './holdings.html',
  styleUrl: './holdings.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Holdings {
  readonly risk = input.required<Risk>();
  readonly portfolio = input.required<Portfolio>();

  private readonly feed = inject(PortfolioFeed);
  protected readonly columns = COLUMNS;
  protected readonly narrow = narrow();
  protected readonly sort = signal<SortKey>('value');
  protected readonly descending = signal(true);
  protected readonly all = signal(false);

  private readonly sorted = computed(() =>
    holdingRows(this.risk(), this.feed.holdings(), this.sort(), this.descending()),
  );
  protected readonly count = computed(() => this.sorted().length);
  protected readonly rows = computed(() => {
    const currency = this.portfolio().base_currency;
    return this.sorted()
      .slice(0, this.all() ? undefined : FIRST)
      .map(({ position, holding, note, ...row }) => ({
        ticker: position.ticker,
        name: holding?.name ?? '',
        note,
        quantity: exact(position.quantity),
        price: exact(position.price, 2),
        currency: position.currency === currency ? '' : (position.currency ?? ''),
        priceTitle: position.price_date
          ? `Price of ${day(position.price_date)}, from ${position.price_source}`
          : '',
        value: money(row.value, currency),
        weight: percent(row.weight, 1),
        gain: signed(row.gain, (amount) => money(amount, currency)),
        gainTone: !row.gain ? '' : row.gain > 0 ? 'gain' : 'loss',
        gainSign: !row.gain ? '' : row.gain > 0 ? '↑' : '↓',
        cost: holding?.average_cost
          ? `Average cost ${exact(roundTo4(holding.average_cost), 2)}`
          : '',
        volatility: percent(row.volatility, 1),
        beta: fixed(row.beta),
        ofRisk: percent(row.ofRisk, 1),
      }));
  });
  protected readonly total = computed(() => {
    const { as_of, nav } = this.risk();
    return money(as_of === null ? null : nav, this.portfolio().base_currency);
  });
  /** Cash in base currency, where it counts; cash abroad is among the positions. */
  protected readonly cash = computed(() => {
    const { cash } = this.risk();
    return cash === null || Number(cash) === 0
      ? null
      : money(Number(cash), this.portfolio().base_currency);
  });
  protected readonly table = computed<PlainTable>(() => ({
    columns: [
      'Position',
      'Quantity',
      'Price',
      'Value',
      'Share of value',
      'Gain or loss',
      'Volatility',
      'Beta',
      'Share of risk',
      'Status',
    ],
    rows: this.sorted().map(({ position, holding, ...row }) => [
      position.ticker,
      position.quantity,
      position.price,
      position.market_value,
      row.weight,
      holding?.unrealised_pnl_base ?? null,
      row.volatility,
      row.beta,
      row.ofRisk,
      row.note?.label ?? 'ok',
    ]),
  }));

  protected sortBy(key: SortKey): void {
    this.descending.set(this.sort() === key ? !this.descending() : key !== 'ticker');
    this.sort.set(key);
  }

  protected ariaSort(key: SortKey | null): string | null {
    if (key === null) return null;
    if (key !== this.sort()) return 'none';
    return this.descending() ? 'descending' : 'ascending';
  }
}

/** Four decimals of an average are enough to read. */
const roundTo4 = (value: string) => String(Math.round(Number(value) * 1e4) / 1e4);
