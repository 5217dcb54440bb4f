import type { EChartsCoreOption } from 'echarts/core';

import { Palette } from '../../ui/chart';
import { escapeHtml, tooltipStyle } from '../../ui/chart-tooltip';
import { DaySeries, exceededDays } from './exceedances';

export interface BacktestPicture extends DaySeries {
  /** What the line is called: VaR 95. */
  name: string;
  day: (isoDate: string) => string;
  share: (fraction: number) => string;
}

/** Each day's result as a bar, VaR as a line below zero, exceedances as hollow marks. */
export function backtestOption(picture: BacktestPicture): (palette: Palette) => EChartsCoreOption {
  const { dates, pnl, atRisk, name, day, share } = picture;
  const line = atRisk.map((value) => -value);
  const marks = exceededDays(picture).map((i) => [i, pnl[i]]);
  return (palette) => ({
    animation: false,
    textStyle: { fontFamily: 'Inter Variable, system-ui, sans-serif' },
    grid: { left: 44, right: 56, top: 12, bottom: 24 },
    tooltip: {
      ...tooltipStyle(palette),
      trigger: 'axis',
      axisPointer: { type: 'line', lineStyle: { color: palette.line } },
      formatter: ([{ dataIndex: i }]: { dataIndex: number }[]) =>
        `${escapeHtml(day(dates[i]))}<br><b>${escapeHtml(share(pnl[i]))}</b><br>` +
        `${escapeHtml(name)} ${escapeHtml(share(atRisk[i]))}`,
    },
    xAxis: {
      type: 'category',
      data: dates,
      axisLine: { onZero: true, lineStyle: { color: palette.line } },
      axisTick: { show: false },
      // Dates stand at the bottom, out of the way of the losses.
      axisLabel: { show: false },
    },
    yAxis: {
      type: 'value',
      splitNumber: 4,
      splitLine: { show: false },
      axisLabel: { color: palette['ink-soft'], fontSize: 11, formatter: share },
    },
    series: [
      {
        type: 'bar',
        data: pnl,
        barCategoryGap: '10%',
        itemStyle: { color: palette['accent-pale'] },
        emphasis: { disabled: true },
      },
      {
        type: 'line',
        data: line,
        step: 'middle',
        symbol: 'none',
        lineStyle: { color: palette.loss, width: 1.5 },
        endLabel: { show: true, formatter: name, color: palette.ink, fontSize: 11, distance: 4 },
        emphasis: { disabled: true },
      },
      {
        type: 'scatter',
        data: marks,
        symbol: 'circle',
        symbolSize: 8,
        itemStyle: { color: 'transparent', borderColor: palette.loss, borderWidth: 1.5 },
        tooltip: { show: false },
        silent: true,
        z: 5,
      },
    ],
  });
}
