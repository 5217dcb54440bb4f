import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';
import type { EChartsCoreOption } from 'echarts/core';

import { Correlation as CorrelationMatrix, Risk } from '../../core/api/types';
import { Card } from '../../ui/card';
import { Chart, Palette } from '../../ui/chart';
import { escapeHtml, tooltipStyle } from '../../ui/chart-tooltip';
import { PlainTable } from '../../ui/csv';
import { fixed } from '../../ui/format';

type Matrix = Pick<CorrelationMatrix, 'tickers' | 'matrix'>;

/** Up to this many instruments, each cell has room for its figure. */
const LABELLED = 8;

/** The heat map's picture: blue below zero, paper white at zero, vermilion above. */
export function correlationOption({
  tickers,
  matrix,
}: Matrix): (palette: Palette) => EChartsCoreOption {
  const labelled = tickers.length <= LABELLED;
  const label = { color: '', fontSize: tickers.length > 16 ? 9 : 11 };
  const cells = matrix.flatMap((row, y) =>
    row.map((value, x) => ({ x, y, value })).filter(({ value }) => value !== null),
  );
  return (palette) => {
    const axis = {
      type: 'category',
      data: tickers,
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { ...label, color: palette['ink-soft'], interval: 0 },
    };
    return {
      animation: false,
      textStyle: { fontFamily: 'Inter Variable, system-ui, sans-serif' },
      grid: { left: 8, right: 8, top: 4, bottom: 4, containLabel: true },
      tooltip: {
        ...tooltipStyle(palette),
        formatter: ({ value: [x, y, v] }: { value: [number, number, number] }) =>
          `${escapeHtml(tickers[x])} and ${escapeHtml(tickers[y])}<br><b>${fixed(v)}</b>`,
      },
      xAxis: { ...axis, axisLabel: { ...axis.axisLabel, rotate: labelled ? 0 : 90 } },
      yAxis: { ...axis, inverse: true },
      visualMap: {
        show: false,
        min: -1,
        max: 1,
        inRange: { color: [palette.gain, palette.card, palette.loss] },
      },
      series: {
        type: 'heatmap',
        data: cells.map(({ x, y, value }) => ({
          value: [x, y, value],
          // Everything moves with itself: the diagonal says nothing and stays out of the way.
          ...(x === y && { itemStyle: { color: palette.sunken } }),
          label: {
            show: labelled && x !== y,
            color: Math.abs(value!) > 0.62 ? palette.card : palette.ink,
          },
        })),
        label: {
          show: labelled,
          fontSize: 11,
          formatter: ({ value }: { value: [number, number, number] }) => fixed(value[2]),
        },
        itemStyle: { borderColor: palette.card, borderWidth: 1 },
        emphasis: { itemStyle: { borderColor: palette.ink } },
      },
    };
  };
}

/** Which positions move together. */
@Component({
  selector: 'app-correlation',
  imports: [Card, Chart],
  template: `
    <app-card heading="What moves together" [note]="note()" [table]="table()" file="correlation">
      @if (matrix(); as held) {
        <app-chart [option]="option()" [label]="label()" [height]="height()" />
        <div class="scale" aria-hidden="true"><span>−1</span><i></i><span>+1</span></div>
      } @else {
        <p class="none">It takes two positions with prices to compare.</p>
      }
    </app-card>
  `,
  styleUrl: './correlation.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Correlation {
  readonly risk = input.required<Risk>();

  protected readonly matrix = computed<CorrelationMatrix | null>(() => {
    const correlation = this.risk().correlation;
    return correlation && correlation.tickers.length > 1 ? correlation : null;
  });
  protected readonly note = computed(() => {
    const omitted = this.matrix()?.omitted ?? 0;
    const rest = omitted > 0 ? `; the ${omitted} smallest positions are left out` : '';
    return `Correlation of daily returns${rest}`;
  });
  protected readonly option = computed(() =>
    correlationOption(this.matrix() ?? { tickers: [], matrix: [] }),
  );
  protected readonly height = computed(() => {
    const count = this.matrix()?.tickers.length ?? 0;
    return Math.min(420, 100 + count * 36);
  });
  protected readonly label = computed(() => {
    const matrix = this.matrix();
    if (!matrix) return '';
    const pairs = matrix.tickers.flatMap((a, i) =>
      matrix.tickers.slice(0, i).map((b, j) => ({ a, b, value: matrix.matrix[i][j] ?? 0 })),
    );
    const top = pairs.reduce((best, pair) => (pair.value > best.value ? pair : best));
    return `Heat map of correlations of ${matrix.tickers.length} positions; the closest pair is ${top.a} and ${top.b} at ${fixed(top.value)}. The table view has all figures.`;
  });
  protected readonly table = computed<PlainTable | null>(() => {
    const matrix = this.matrix();
    if (!matrix) return null;
    return {
      columns: ['', ...matrix.tickers],
      rows: matrix.matrix.map((row, i) => [matrix.tickers[i], ...row]),
      format: (value) => fixed(value),
    };
  });
}
