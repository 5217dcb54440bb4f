import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';

/** Outlines on a 24-unit grid, drawn for this page. */
const PATHS = {
  add: 'M12 5v14M5 12h14',
  refresh: 'M20 12a8 8 0 1 1-2.3-5.7M20 4v4.5h-4.5',
  account: 'M12 12.5a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20c1-3.4 4-5 7.5-5s6.5 1.6 7.5 5',
  settings:
    'M4 7h9M17 7h3M4 17h3M11 17h9M15 9.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4ZM9 19.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4Z',
  expand: 'M7 10l5 5 5-5',
  table: 'M4 5.5h16v13H4zM4 10h16M10 10v8.5',
  chart: 'M5 19V11M10 19V5M15 19v-6M20 19V8.5',
  download: 'M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 19.5h14',
  upload: 'M12 15.5V4.5M7.5 8.5 12 4l4.5 4.5M5 19.5h14',
  edit: 'M5 19l1-4L16.5 4.5a1.8 1.8 0 0 1 2.5 0l.5.5a1.8 1.8 0 0 1 0 2.5L9 18l-4 1Z',
  delete: 'M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.5 11v5M13.5 11v5',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  warning: 'M12 4.5 3.5 19h17L12 4.5ZM12 10v4M12 16.5v.1',
  offline:
    'M4 4l16 16M8.5 15.5a5 5 0 0 1 5.5-1.1M5 12a10 10 0 0 1 4-2.4M19 12a10 10 0 0 0-6.5-2.9M12 19v.1',
  clock: 'M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16ZM12 8v4.5l3 1.8',
  history: 'M4.5 12a7.5 7.5 0 1 0 2.4-5.5L4.5 8.7M4.5 4.5v4.2h4.2M12 8.5v4l2.6 1.6',
  key: 'M14.5 13.5a4.5 4.5 0 1 0-3.4-3.4L4 17.2V20h3v-2h2v-2h1.5l1.6-2.1M15.5 8.5v.1',
  leave: 'M10 5H5v14h5M14 8l4 4-4 4M18 12H9',
  folder: 'M4 6.5h5l2 2.5h9v9.5H4z',
  copy: 'M9 9h10v10H9zM5 15V5h10',
} as const;

export type IconName = keyof typeof PATHS;

/** A small drawn sign beside words; it says nothing of its own to a screen reader. */
@Component({
  selector: 'app-icon',
  template: `<svg viewBox="0 0 24 24" aria-hidden="true"><path [attr.d]="path()" /></svg>`,
  styles: `
    :host {
      display: inline-flex;
      width: 1.25em;
      height: 1.25em;
      flex: none;
      vertical-align: -0.25em;
    }
    svg {
      width: 100%;
      height: 100%;
      fill: none;
      stroke: currentColor;
      stroke-width: 1.6;
      stroke-linecap: round;
      stroke-linejoin: round;
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Icon {
  readonly name = input.required<IconName>();
  protected readonly path = computed(() => PATHS[this.name()]);
}
