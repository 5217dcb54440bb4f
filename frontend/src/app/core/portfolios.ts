import { Injectable, computed, inject, signal } from '@angular/core';

import { Api } from './api/api';
import { Portfolio, PortfolioInput } from './api/types';

/** The signed-in person's portfolios, read once and kept in step with what this page changes. */
@Injectable({ providedIn: 'root' })
export class Portfolios {
  private readonly api = inject(Api);
  private readonly items = signal<Portfolio[] | null>(null);

  readonly list = computed(() =>
    (this.items() ?? []).toSorted((a, b) => a.name.localeCompare(b.name)),
  );
  readonly default = computed(
    () => this.list().find((item) => item.is_default) ?? this.list()[0] ?? null,
  );

  find(id: number): Portfolio | null {
    return this.list().find((item) => item.id === id) ?? null;
  }

  async load(): Promise<void> {
    this.items.set(await this.api.portfolios());
  }

  async create(input: PortfolioInput): Promise<Portfolio> {
    const created = await this.api.createPortfolio(input);
    this.items.update((items) => [...(items ?? []), created]);
    return created;
  }

  async change(id: number, input: Partial<PortfolioInput>): Promise<Portfolio> {
    const changed = await this.api.changePortfolio(id, input);
    this.items.update((items) => (items ?? []).map((item) => (item.id === id ? changed : item)));
    return changed;
  }

  async delete(id: number): Promise<void> {
    await this.api.deletePortfolio(id);
    this.items.update((items) => (items ?? []).filter((item) => item.id !== id));
  }
}
