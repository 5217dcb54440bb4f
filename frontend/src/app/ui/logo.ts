import { ChangeDetectionStrategy, Component } from '@angular/core';

/** The mark: a distribution with its left tail watched. */
@Component({
  selector: 'app-logo',
  template: `
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <path class="tail" d="M3 26c3-.5 5.5-1.7 7.5-4.2V26z" />
      <path class="curve" d="M3 26c9-1 9-20 14-20s5 19 12 20" />
    </svg>
    <span>Tailwatch</span>
  `,
  styles: `
    :host {
      display: inline-flex;
      align-items: center;
      gap: 8px;
      font-size: 16px;
      font-weight: 650;
      letter-spacing: -0.015em;
    }
    span {
      display: var(--logo-text, inline);
    }
    svg {
      width: 26px;
      height: 26px;
    }
    .curve {
      fill: none;
      stroke: var(--accent);
      stroke-width: 2.6;
      stroke-linecap: round;
      stroke-linejoin: round;
    }
    .tail {
      fill: var(--loss);
    }
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Logo {}
