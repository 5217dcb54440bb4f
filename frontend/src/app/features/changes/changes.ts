import {
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  inject,
  input,
  numberAttribute,
  signal,
  untracked,
} from '@angular/core';
import { MatButton } from '@angular/material/button';
import { RouterLink } from '@angular/router';

import { Api } from '../../core/api/api';
import { toProblem } from '../../core/api/problem';
import { RecordedChange } from '../../core/api/types';
import { Portfolios } from '../../core/portfolios';
import { Icon } from '../../ui/icon';
import { NOTHING, changeRow } from './change-words';

/** The audit trail: who changed or removed which entry, when, and what it was before. */
@Component({
  imports: [Icon, MatButton, RouterLink],
  templateUrl: './changes.html',
  styleUrl: './changes.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class Changes {
  readonly portfolioId = input.required({ transform: numberAttribute });
  /** The entry that alone is shown, from the address. */
  readonly entry = input(null, {
    transform: (value: string | undefined) => (value && /^[1-9]\d*$/.test(value) ? +value : null),
  });

  private readonly api = inject(Api);
  private readonly portfolios = inject(Portfolios);

  protected readonly portfolio = computed(() => this.portfolios.find(this.portfolioId()));
  private readonly changes = signal<RecordedChange[] | null>(null);
  private readonly cursor = signal<string | null>(null);
  protected readonly problem = signal<string | null>(null);
  protected readonly rows = computed(() => this.changes()?.map(changeRow) ?? null);
  protected readonly nothing = NOTHING;
  protected readonly hasMore = computed(() => this.cursor() !== null);

  constructor() {
    effect(() => {
      this.portfolioId();
      this.entry();
      untracked(() => {
        this.changes.set(null);
        this.cursor.set(null);
        void this.more();
      });
    });
  }

  /** Read on from where the list ends. */
  protected async more(): Promise<void> {
    const [id, entry] = [this.portfolioId(), this.entry()];
    this.problem.set(null);
    try {
      const page = await this.api.changes(id, entry, this.cursor() ?? undefined);
      // Meanwhile the reader may have gone to another entry.
      if (id !== this.portfolioId() || entry !== this.entry()) return;
      this.changes.update((changes) => [...(changes ?? []), ...page.items]);
      this.cursor.set(page.next_cursor);
    } catch (error) {
      this.problem.set(toProblem(error).detail);
    }
  }
}
