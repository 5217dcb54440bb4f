import type { EChartsCoreOption } from 'echarts/core';

import { Palette } from '../../ui/chart';
import { escapeHtml, tooltipStyle } from '../../ui/chart-tooltip';

export interface GrowthPicture {
  dates: readonly string[];
  /** Return since the first day, as fractions. */
  growth: readonly (number | null)[];
  /** Value at the end of each day. */
  values: readonly number[];
  day: (isoDate: string) => string;
  share: (fraction: number | null) => string;
  axis: (fraction: number) => string;
  money: (amount: number) => string;
}

/** The time-weighted return since the first day as one line around zero, its last figure beside it. */
export function performanceOption(picture: GrowthPicture): (palette: Palette) => EChartsCoreOption {
  const { dates, growth, values, day, share, axis, money } = picture;
  return (palette) => ({
    animation: false,
    textStyle: { fontFamily: 'Inter Variable, system-ui, sans-serif' },
    grid: { left: 48, right: 64, top: 12, bottom: 12 },
    tooltip: {
      ...tooltipStyle(palette),
      trigger: 'axis',
      axisPointer: { type: 'line', lineStyle: { color: palette.line } },
      formatter: ([{ dataIndex: i }]: { dataIndex: number }[]) =>
        `${escapeHtml(day(dates[i]))}<br><b>${escapeHtml(share(growth[i]))}</b><br>` +
        escapeHtml(money(values[i])),
    },
    xAxis: {
      type: 'category',
      data: dates,
      boundaryGap: false,
      axisLine: { onZero: true, lineStyle: { color: palette.line } },
      axisTick: { show: false },
      axisLabel: { show: false },
    },
    yAxis: {
      type: 'value',
      splitNumber: 4,
      splitLine: { show: false },
      axisLabel: { color: palette['ink-soft'], fontSize: 11, formatter: axis },
    },
    series: [
      {
        type: 'line',
        data: growth,
        symbol: 'none',
        lineStyle: { color: palette.accent, width: 1.75 },
        endLabel: {
          show: true,
          formatter: ({ value }: { value: number | null }) => share(value),
          color: palette.ink,
          fontSize: 11,
          distance: 4,
        },
        emphasis: { disabled: true },
      },
    ],
  });
}
