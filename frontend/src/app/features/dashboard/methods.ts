import { ChangeDetectionStrategy, Component, computed, input, signal } from '@angular/core';
import { MatButtonToggleModule } from '@angular/material/button-toggle';

import { Portfolio, Risk, RiskMethod, TailFigure } from '../../core/api/types';
import { Card } from '../../ui/card';
import { PlainTable } from '../../ui/csv';
import { percent } from '../../ui/format';
import { narrow } from '../../ui/narrow';
import { Term } from '../../ui/term';
import { confidenceOf, tailOf } from './headline';
import { METHOD_NAMES } from './method-names';
import { spreadOf } from './spread';

type Kind = 'VaR' | 'ES';

const COLUMNS: readonly { key: TailFigure; kind: Kind; name: string }[] = [
  { key: 'var_95_1d', kind: 'VaR', name: `VaR ${percent(0.95, 0)}` },
  { key: 'var_975_1d', kind: 'VaR', name: `VaR ${percent(0.975, 1)}` },
  { key: 'var_99_1d', kind: 'VaR', name: `VaR ${percent(0.99, 0)}` },
  { key: 'es_95_1d', kind: 'ES', name: `ES ${percent(0.95, 0)}` },
  { key: 'es_975_1d', kind: 'ES', name: `ES ${percent(0.975, 1)}` },
  { key: 'es_99_1d', kind: 'ES', name: `ES ${percent(0.99, 0)}` },
];

/** The same portfolio through each method: how far apart they are is how sure the figures can be. */
@Component({
  selector: 'app-methods',
  imports: [Card, MatButtonToggleModule, Term],
  templateUrl: './methods.html',
  styleUrl: './methods.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Methods {
  readonly risk = input.required<Risk>();
  readonly portfolio = input.required<Portfolio>();

  /** A phone has room for three columns: the reader chooses which. */
  protected readonly narrow = narrow();
  protected readonly kind = signal<Kind>('VaR');
  protected readonly columns = computed(() =>
    this.narrow() ? COLUMNS.filter(({ kind }) => kind === this.kind()) : COLUMNS,
  );
  private readonly methods = computed(() =>
    (Object.keys(METHOD_NAMES) as RiskMethod[]).flatMap((method) => {
      const figures = this.risk().methods?.[method];
      return figures ? [{ method, name: METHOD_NAMES[method], figures }] : [];
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
      cells: this.columns().map(({ key }) => ({
        text: percent(figures[key]),
        width: this.largest() > 0 ? ((figures[key] ?? 0) / this.largest()) * 100 : 0,
      })),
    })),
  );
  /** How far the methods lie apart, a column; empty where the snapshot does not say. */
  protected readonly spreads = computed(() => {
    const disagreement = this.risk().disagreement;
    if (!disagreement) return [];
    return this.columns().map(({ key }) => percent(disagreement[key]?.spread, 0));
  });
  protected readonly note = computed(() => {
    const figure: TailFigure = `var_${tailOf(confidenceOf(this.portfolio()))}_1d`;
    const spread = spreadOf(this.risk().disagreement?.[figure], METHOD_NAMES);
    return spread ?? 'One day’s loss as a share of value; all bars on one scale';
  });
  protected readonly table = computed<PlainTable>(() => ({
    columns: ['Method', ...COLUMNS.map(({ name }) => name)],
    rows: this.methods().map(({ name, figures }) => [
      name,
      ...COLUMNS.map(({ key }) => figures[key]),
    ]),
  }));
}
