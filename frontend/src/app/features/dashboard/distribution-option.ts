import type { EChartsCoreOption } from 'echarts/core';

import { Palette } from '../../ui/chart';
import { escapeHtml, tooltipStyle } from '../../ui/chart-tooltip';

export interface Histogram {
  /** One more than there are counts; profit and loss in the base currency. */
  edges: readonly number[];
  counts: readonly number[];
  marks: readonly { name: string; at: number | null }[];
  money: (amount: number) => string;
  share: (fraction: number) => string;
}

/** The picture of a histogram: bars on a numeric axis, losses beyond VaR in the colour of loss. */
export function distributionOption(histogram: Histogram): (palette: Palette) => EChartsCoreOption {
  const { edges, counts, marks, money, share } = histogram;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const atRisk = marks[0].at;
  return (palette) => ({
    animation: false,
    textStyle: { fontFamily: 'Inter Variable, system-ui, sans-serif' },
    grid: { left: 10, right: 10, top: 44, bottom: 24 },
    tooltip: {
      ...tooltipStyle(palette),
      trigger: 'axis',
      axisPointer: { type: 'shadow', shadowStyle: { color: palette.sunken, opacity: 0.5 } },
      formatter: ([{ dataIndex: i }]: { dataIndex: number }[]) =>
        `${escapeHtml(money(edges[i]))} to ${escapeHtml(money(edges[i + 1]))}<br>` +
        `<b>${counts[i]}</b> of ${total} days (${escapeHtml(share(counts[i] / total))})`,
    },
    xAxis: [
      { type: 'category', show: false, data: counts.map((_, i) => i) },
      {
        type: 'value',
        position: 'bottom',
        axisPointer: { show: false },
        min: edges[0],
        max: edges.at(-1),
        splitNumber: 4,
        splitLine: { show: false },
        axisLine: { show: true, onZero: false, lineStyle: { color: palette.line } },
        axisTick: { show: false },
        axisLabel: {
          color: palette['ink-soft'],
          fontSize: 11,
          hideOverlap: true,
          showMinLabel: false,
          showMaxLabel: false,
          formatter: money,
        },
      },
    ],
    yAxis: { type: 'value', show: false },
    series: [
      {
        type: 'bar',
        barCategoryGap: '8%',
        data: counts.map((count, i) => ({
          value: count,
          itemStyle: {
            color:
              atRisk !== null && (edges[i] + edges[i + 1]) / 2 <= atRisk
                ? palette.loss
                : palette['accent-pale'],
            borderRadius: [2, 2, 0, 0],
          },
        })),
        emphasis: { itemStyle: { color: palette.accent } },
      },
      {
        // Invisible bars on the money axis carry the marks to their exact places.
        type: 'bar',
        xAxisIndex: 1,
        data: [],
        silent: true,
        markLine: {
          silent: true,
          symbol: 'none',
          animation: false,
          data: marks
            .filter((mark) => mark.at !== null && edges.length > 1)
            .map((mark, i) => ({
              xAxis: Math.max(mark.at!, edges[0]),
              lineStyle: { color: palette.loss, width: 1.5, type: i === 0 ? 'solid' : [4, 3] },
              label: {
                formatter: `${mark.name}\n${money(mark.at!)}`,
                position: 'end',
                align: i === 0 ? 'left' : 'right',
                padding: i === 0 ? [0, 0, 0, -2] : [0, -2, 0, 0],
                color: palette.ink,
                fontSize: 11,
                lineHeight: 14,
              },
            })),
        },
      },
    ],
  });
}
