import {
  ChangeDetectionStrategy,
  Component,
  DestroyRef,
  ElementRef,
  afterNextRender,
  effect,
  inject,
  input,
  signal,
} from '@angular/core';
import type { EChartsCoreOption, EChartsType } from 'echarts/core';

/** The page's colours as a canvas needs them: resolved, not `var()` or `light-dark()`. */
export type Palette = Record<
  'card' | 'sunken' | 'ink' | 'ink-soft' | 'line' | 'accent' | 'accent-pale' | 'loss' | 'gain',
  string
>;

const NAMES = [
  'card',
  'sunken',
  'ink',
  'ink-soft',
  'line',
  'accent',
  'accent-pale',
  'loss',
  'gain',
] as const;

/** Read the colours off an element, by letting the browser compute each of them. */
export function readPalette(host: HTMLElement): Palette {
  const probe = document.createElement('span');
  probe.hidden = true;
  host.append(probe);
  const entries = NAMES.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(entries) as Palette;
}

/**
 * An ECharts picture of fixed height that follows its box and the system's light or dark.
 *
 * It is one image to a screen reader, named by `label`; the card around it offers the figures as a table.
 */
@Component({
  selector: 'app-chart',
  template: '',
  host: { role: 'img', '[attr.aria-label]': 'label()', '[style.height.px]': 'height()' },
  styles: ':host { display: block; width: 100% }',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Chart {
  readonly option = input.required<(palette: Palette) => EChartsCoreOption>();
  readonly label = input.required<string>();
  readonly height = input(280);

  private readonly host = inject<ElementRef<HTMLElement>>(ElementRef).nativeElement;
  private readonly chart = signal<EChartsType | null>(null);
  private readonly palette = signal<Palette | null>(null);
  private readonly destroyRef = inject(DestroyRef);

  constructor() {
    afterNextRender(() => void this.draw());
    effect(() => {
      const palette = this.palette();
      if (palette) this.chart()?.setOption(this.option()(palette), { notMerge: true });
    });
  }

  private async draw(): Promise<void> {
    const { init } = await import('./echarts');
    if (this.destroyRef.destroyed) return;
    const chart = init(this.host, null, { renderer: 'canvas' });
    const resized = new ResizeObserver(() => chart.resize());
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const recolour = () => this.palette.set(readPalette(this.host));
    resized.observe(this.host);
    dark.addEventListener('change', recolour);
    this.destroyRef.onDestroy(() => {
      resized.disconnect();
      dark.removeEventListener('change', recolour);
      chart.dispose();
    });
    recolour();
    this.chart.set(chart);
  }
}
