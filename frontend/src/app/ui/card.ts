import { ChangeDetectionStrategy, Component, input, signal } from '@angular/core';
import { MatIconButton } from '@angular/material/button';
import { MatTooltip } from '@angular/material/tooltip';

import { PlainTable, download } from './csv';
import { NO_FIGURE } from './format';
import { Icon } from './icon';

/**
 * A part of the page with a heading. Given a `table`, the reader can turn the picture into its figures
 * and take them along as CSV.
 */
@Component({
  selector: 'app-card',
  imports: [Icon, MatIconButton, MatTooltip],
  templateUrl: './card.html',
  styleUrl: './card.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Card {
  readonly heading = input.required<string>();
  /** One line under the heading: what is measured, and how. */
  readonly note = input('');
  readonly table = input<PlainTable | null>(null);
  /** Whether the picture can be swapped for the table; off where the content is a table already. */
  readonly swap = input(true);
  /** The CSV's file name, without ending. */
  readonly file = input('tailwatch');

  protected readonly asTable = signal(false);

  protected show(value: string | number | null, column: number): string {
    if (value === null) return NO_FIGURE;
    if (typeof value === 'string') return value;
    return this.table()?.format?.(value, column) ?? String(value);
  }

  protected toggle(): void {
    this.asTable.update((on) => !on);
  }

  protected save(table: PlainTable): void {
    download(table, this.file());
  }
}
