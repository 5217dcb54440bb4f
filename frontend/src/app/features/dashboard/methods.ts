import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';

import { Portfolio, Risk, RiskMethod } from '../../core/api/types';
import { Card } from '../../ui/card';
import { PlainTable } from '../../ui/csv';
import { percent } from '../../ui/format';
import { Term } from '../../ui/term';

const NAMES: Record<RiskMethod, string> = {
  filtered: 'Filtered historical',
  historical: 'Historical',
  ewma: 'EWMA, λ 0.94',
  covariance: 'Covariance, normal',
};

const COLUMNS = [
  { key: 'var_95_1d', name: `VaR ${percent(0.95, 0)}` },
  { key: 'es_95_1d', name: `ES ${percent(0.95, 0)}` },
  { key: 'var_99_1d', name: `VaR ${percent(0.99, 0)}` },
  { key: 'es_99_1d', name: `ES ${percent(0.99, 0)}` },
] as const;

/** The same portfolio through each method: how far apart they are is how sure the figures can be. */
@Component({
  selector: 'app-methods',
  imports: [Card, Term],
  templateUrl: './methods.html',
  styleUrl: './methods.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Methods {
  readonly risk = input.required<Risk>();
  readonly portfolio = input.required<Portfolio>();

  protected readonly columns = COLUMNS;
  private readonly methods = computed(() =>
    (Object.keys(NAMES) as RiskMethod[]).flatMap((method) => {
      const figures = this.risk().methods?.[method];
      return figures ? [{ method, name: NAMES[method], figures }] : [];
    }),
  );
  /** One scale for all, so that lengths compare across columns as well. */
  private readonly largest = computed(() =>
    Math.max(
      0,
      ...this.methods().flatMap(({ figures }) => COLUMNS.map(({ key }) => figures[key] ?? 0)),
    ),
  );
  protected readonly rows = computed(() =>
    this.methods().map(({ method, name, figures }) => ({
      method,
      name,
      leads: method === this.risk().method,
      cells: COLUMNS.map(({ key }) => ({
        text: percent(figures[key]),
        width: this.largest() > 0 ? ((figures[key] ?? 0) / this.largest()) * 100 : 0,
      })),
    })),
  );
  protected readonly table = computed<PlainTable>(() => ({
    columns: ['Method', ...COLUMNS.map(({ name }) => name)],
    rows: this.methods().map(({ name, figures }) => [
      name,
      ...COLUMNS.map(({ key }) => figures[key]),
    ]),
  }));
}
