import {
  ChangeDetectionStrategy,
  Component,
  OnInit,
  computed,
  input,
  output,
  signal,
} from '@angular/core';
import {
  FormField,
  FormRoot,
  TreeValidationResult,
  form,
  maxLength,
  required,
  validate,
} from '@angular/forms/signals';
import { MatButton } from '@angular/material/button';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInput } from '@angular/material/input';
import { MatSelectModule } from '@angular/material/select';

import { toFormErrors } from '../../core/api/form-errors';
import { renamed, toProblem } from '../../core/api/problem';
import { Icon } from '../../ui/icon';
import {
  CASH,
  CONFIDENCES,
  COST_BASES,
  COVARIANCES,
  FIELD_OF,
  METHODS,
  NEW_PORTFOLIO,
  PortfolioModel,
} from './portfolio-model';

const FIELDS = [
  'name',
  'benchmark',
  'method',
  'covariance',
  'window',
  'confidence',
  'costBasis',
  'cash',
] as const;

/** Name, benchmark and how risk is measured. What is done with them is the page's around it: `save`. */
@Component({
  selector: 'app-portfolio-form',
  imports: [FormField, FormRoot, Icon, MatButton, MatFormFieldModule, MatInput, MatSelectModule],
  templateUrl: './portfolio-form.html',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export class PortfolioForm implements OnInit {
  readonly start = input<PortfolioModel>(NEW_PORTFOLIO);
  readonly action = input.required<string>();
  readonly save = input.required<(model: PortfolioModel) => Promise<void>>();
  readonly cancelled = output();

  private readonly model = signal(NEW_PORTFOLIO);
  protected readonly methods = METHODS;
  protected readonly covariances = COVARIANCES;
  protected readonly confidences = CONFIDENCES;
  protected readonly costBases = COST_BASES;
  protected readonly cashChoices = CASH;
  protected readonly costBasis = computed(() =>
    COST_BASES.find(({ value }) => value === this.model().costBasis),
  );
  protected readonly cash = computed(() => CASH.find(({ value }) => value === this.model().cash));
  protected readonly problem = signal<string | null>(null);
  protected readonly method = computed(() =>
    METHODS.find(({ value }) => value === this.model().method),
  );
  protected readonly covariance = computed(() =>
    COVARIANCES.find(({ value }) => value === this.model().covariance),
  );
  protected readonly form = form(
    this.model,
    (path) => {
      required(path.name, { message: 'Give the portfolio a name.' });
      maxLength(path.name, 100, { message: 'At most 100 characters.' });
      validate(path.window, ({ value }) => {
        const sessions = Number(value());
        const fits = Number.isInteger(sessions) && sessions >= 60 && sessions <= 2500;
        return fits ? undefined : { kind: 'range', message: 'A whole number from 60 to 2,500.' };
      });
    },
    { submission: { action: () => this.submit() } },
  );

  ngOnInit(): void {
    this.model.set(this.start());
  }

  private async submit(): Promise<TreeValidationResult> {
    this.problem.set(null);
    try {
      await this.save()(this.model());
      return undefined;
    } catch (error) {
      const problem = renamed(toProblem(error), FIELD_OF);
      const { fields, general } = toFormErrors(problem, this.form, FIELDS);
      this.problem.set(general);
      return fields;
    }
  }
}
