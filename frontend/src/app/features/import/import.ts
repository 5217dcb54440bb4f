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
import { MatCheckbox } from '@angular/material/checkbox';
import { MatDialog } from '@angular/material/dialog';
import { MatSnackBar } from '@angular/material/snack-bar';
import { Router, RouterLink } from '@angular/router';

import { Api } from '../../core/api/api';
import { toProblem } from '../../core/api/problem';
import { ImportResult, TradeImport } from '../../core/api/types';
import { Portfolios } from '../../core/portfolios';
import { confirm } from '../../ui/confirm';
import { exact, moment } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { COLUMNS, PICKABLE, columnsOf, rowView, summary } from './import-rows';

/** Takes a broker's or tracker's file: what each row would become, then books it, and takes it back. */
@Component({
  imports: [Icon, MatButton, MatCheckbox, RouterLink],
  templateUrl: './import.html',
  styleUrl: './import.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class Import {
  readonly portfolioId = input.required({ transform: numberAttribute });

  private readonly api = inject(Api);
  private readonly dialog = inject(MatDialog);
  private readonly router = inject(Router);
  private readonly snackBar = inject(MatSnackBar);
  private readonly portfolios = inject(Portfolios);

  protected readonly portfolio = computed(() =>
    this.portfolios.list().find(({ id }) => id === this.portfolioId()),
  );
  protected readonly columns = COLUMNS;
  protected readonly busy = signal(false);
  protected readonly over = signal(false);
  protected readonly problem = signal<string | null>(null);
  protected readonly file = signal<File | null>(null);
  protected readonly result = signal<ImportResult | null>(null);
  protected readonly past = signal<TradeImport[]>([]);
  /** Columns of a file that is not known; empty while there is none to name. */
  protected readonly unknown = signal<string[]>([]);
  protected readonly mapped = signal<Record<string, string>>({});
  /** Lines that are left out by hand, or taken although they look booked. */
  protected readonly picked = signal<ReadonlySet<number> | null>(null);

  protected readonly rows = computed(() => (this.result()?.rows ?? []).map(rowView));
  protected readonly sentence = computed(() => {
    const result = this.result();
    return result ? summary(result) : '';
  });
  /** How many rows the button books. */
  protected readonly toBook = computed(() => {
    const counts = this.result()?.counts;
    return this.picked()?.size ?? (counts ? counts.new + counts.split : 0);
  });
  protected readonly moment = moment;
  protected readonly exact = (n: number) => exact(String(n));

  constructor() {
    effect(() => {
      const id = this.portfolioId();
      untracked(() => void this.readPast(id));
    });
  }

  protected isPickable(status: string): boolean {
    return (PICKABLE as readonly string[]).includes(status);
  }

  protected isPicked(line: number, status: string): boolean {
    return this.picked()?.has(line) ?? (status === 'new' || status === 'split');
  }

  protected pick(line: number, on: boolean): void {
    const lines = new Set(
      this.picked() ??
        this.rows()
          .filter(({ status }) => status === 'new' || status === 'split')
          .map((row) => row.line),
    );
    if (on) lines.add(line);
    else lines.delete(line);
    this.picked.set(lines);
  }

  protected chosen(event: Event): void {
    const field = event.target as HTMLInputElement;
    const [file] = field.files ?? [];
    // The same file can be chosen again after it was mended.
    field.value = '';
    if (file) void this.open(file);
  }

  protected dropped(event: DragEvent): void {
    event.preventDefault();
    this.over.set(false);
    const file = event.dataTransfer?.files[0];
    if (file) void this.open(file);
  }

  protected map(column: string, event: Event): void {
    const value = (event.target as HTMLSelectElement).value;
    this.mapped.update((mapped) => ({ ...mapped, [column]: value }));
  }

  protected async open(file: File): Promise<void> {
    this.unknown.set([]);
    this.mapped.set({});
    this.file.set(file);
    await this.tryIt();
  }

  protected async tryIt(): Promise<void> {
    const file = this.file();
    if (!file) return;
    this.problem.set(null);
    this.result.set(null);
    this.picked.set(null);
    this.busy.set(true);
    try {
      this.result.set(await this.api.tryImport(this.portfolioId(), file, this.mapping()));
      this.unknown.set([]);
    } catch (error) {
      const problem = toProblem(error);
      const said = problem.errors[0]?.message ?? problem.detail;
      this.unknown.set(columnsOf(said));
      this.problem.set(said);
    } finally {
      this.busy.set(false);
    }
  }

  protected async book(): Promise<void> {
    const file = this.file();
    const result = this.result();
    if (!file || !result) return;
    this.busy.set(true);
    this.problem.set(null);
    // Where rows are in error, only rows that are picked can be booked.
    const picked = this.picked() ?? (result.counts.error ? this.good() : null);
    const lines = picked ? [...picked] : null;
    try {
      const done = await this.api.bookImport(this.portfolioId(), file, this.mapping(), lines);
      const { booked } = done.counts;
      this.snackBar.open(
        `Booked ${this.exact(booked)} ${booked === 1 ? 'entry' : 'entries'} of ${file.name}.`,
        undefined,
        { duration: 8000 },
      );
      await this.router.navigate(['/portfolios', this.portfolioId()]);
    } catch (error) {
      this.problem.set(toProblem(error).detail);
    } finally {
      this.busy.set(false);
    }
  }

  protected async takeBack(one: TradeImport): Promise<void> {
    const sure = await confirm(this.dialog, {
      title: `Take ${one.file_name} back?`,
      text: `Its ${this.exact(one.booked)} entries are removed, as far as they are still there. What they were stays in the audit trail; splits that it brought stay.`,
      action: 'Take back',
    });
    if (!sure) return;
    try {
      const { removed } = await this.api.takeBackImport(this.portfolioId(), one.id);
      this.snackBar.open(`Removed ${this.exact(removed)} entries.`, undefined, { duration: 8000 });
      await this.readPast(this.portfolioId());
    } catch (error) {
      this.snackBar.open(toProblem(error).detail, 'Close');
    }
  }

  private good(): Set<number> {
    const rows = this.result()?.rows ?? [];
    return new Set(
      rows.filter(({ status }) => status === 'new' || status === 'split').map(({ line }) => line),
    );
  }

  private mapping() {
    const columns = Object.entries(this.mapped()).filter(([, theirs]) => theirs !== '');
    return { columns: Object.fromEntries(columns), symbols: {} };
  }

  private async readPast(id: number): Promise<void> {
    try {
      this.past.set((await this.api.imports(id)).items);
    } catch {
      // The list is beside the point; importing tells what is wrong.
      this.past.set([]);
    }
  }
}
