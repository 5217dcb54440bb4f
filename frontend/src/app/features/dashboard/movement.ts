import { ChangeDetectionStrategy, Component, computed, inject, input, signal } from '@angular/core';
import { MatButtonToggleModule } from '@angular/material/button-toggle';

import { Api } from '../../core/api/api';
import { toProblem } from '../../core/api/problem';
import { Portfolio } from '../../core/api/types';
import { followed } from '../../ui/followed';
import { moment } from '../../ui/format';
import { Icon } from '../../ui/icon';
import { confidenceOf } from './headline';
import { explainedFigures, waterfall } from './waterfall';

/** Why the figures changed since the snapshot before: a sentence, and the parts of the change on demand. */
@Component({
  selector: 'app-movement',
  imports: [Icon, MatButtonToggleModule],
  templateUrl: './movement.html',
  styleUrl: './movement.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class Movement {
  readonly portfolio = input.required<Portfolio>();
  readonly snapshotId = input.required<number | null>();

  private readonly api = inject(Api);
  private readonly answer = followed({
    params: () => {
      const snapshot = this.snapshotId();
      return snapshot === null ? undefined : { portfolio: this.portfolio().id, snapshot };
    },
    subject: (asked) => asked?.portfolio,
    read: ({ portfolio }, signal) => this.api.explain(portfolio, signal),
  });

  protected readonly open = signal(false);
  private readonly wanted = signal<string | null>(null);
  protected readonly explain = this.answer.value;
  protected readonly figures = computed(() => {
    const explain = this.explain();
    return explain ? explainedFigures(explain, confidenceOf(this.portfolio())) : [];
  });
  protected readonly figure = computed(() => {
    const keys = this.figures().map(({ key }) => key);
    const wanted = this.wanted();
    return wanted !== null && keys.includes(wanted) ? wanted : (keys[0] ?? null);
  });
  protected readonly steps = computed(() => {
    const explain = this.explain();
    const figure = this.figure();
    return explain && figure ? waterfall(explain, figure, this.portfolio().base_currency) : [];
  });
  protected readonly since = computed(() => {
    const from = this.explain()?.from;
    return from ? `Against the figures of ${moment(from)}` : '';
  });
  protected readonly sentence = computed(() => {
    const explain = this.explain();
    if (explain?.sentence) return explain.sentence;
    if (explain) return 'What moved the figures is told from the second snapshot on.';
    const error = this.answer.error();
    return error ? `What moved the figures is not known: ${toProblem(error).detail}` : '';
  });

  protected choose(figure: string): void {
    this.wanted.set(figure);
  }
}
