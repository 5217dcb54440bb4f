import {
  ChangeDetectionStrategy,
  Component,
  effect,
  inject,
  input,
  signal,
  untracked,
} from '@angular/core';
import { toSignal } from '@angular/core/rxjs-interop';
import { FormField, FormRoot, TreeValidationResult, form, required } from '@angular/forms/signals';
import { MatButton } from '@angular/material/button';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInput } from '@angular/material/input';
import { MatProgressSpinner } from '@angular/material/progress-spinner';
import { ActivatedRoute, Router } from '@angular/router';

import { toFormErrors } from '../../core/api/form-errors';
import { toProblem } from '../../core/api/problem';
import { Session } from '../../core/session';
import { Icon } from '../../ui/icon';
import { Logo } from '../../ui/logo';
import { FORM_FIELDS } from '../../ui/form-fields';

/** Signs in by password, or by the one-time link whose token stands in the address after `#`. */
@Component({
  imports: [
    FormField,
    FormRoot,
    Icon,
    Logo,
    MatButton,
    MatFormFieldModule,
    MatInput,
    MatProgressSpinner,
  ],
  templateUrl: './sign-in.html',
  styleUrl: './sign-in.scss',
  providers: [FORM_FIELDS],
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class SignIn {
  /** Where to go on afterwards; only addresses within this page count. */
  readonly back = input<string>();
  /** The session ended while the page was open. */
  readonly ended = input<string>();
  /** The server did not answer when the page asked who is signed in. */
  readonly unreachable = input<string>();

  private readonly session = inject(Session);
  private readonly router = inject(Router);

  protected readonly redeeming = signal(false);
  protected readonly linkFailure = signal<string | null>(null);
  protected readonly problem = signal<string | null>(null);
  protected readonly form = form(
    signal({ email: '', password: '' }),
    (path) => {
      required(path.email, { message: 'Enter the e-mail address of your account.' });
      required(path.password, { message: 'Enter your password.' });
    },
    { submission: { action: async () => this.signIn() } },
  );

  constructor() {
    // A link opened in a tab that shows this page already changes the fragment only.
    const fragment = toSignal(inject(ActivatedRoute).fragment);
    effect(() => {
      const token = fragment();
      if (token) untracked(() => void this.redeem(token));
    });
  }

  private async redeem(token: string): Promise<void> {
    // Out of the address bar first, so that the token is in no history and no screenshot.
    await this.router.navigate([], { queryParamsHandling: 'preserve', replaceUrl: true });
    this.redeeming.set(true);
    try {
      await this.session.redeemLink(token);
      await this.goOn();
    } catch (error) {
      const problem = toProblem(error);
      this.linkFailure.set(
        problem.isTemporary ? problem.detail : 'This sign-in link was already used or has expired.',
      );
      this.redeeming.set(false);
    }
  }

  private async signIn(): Promise<TreeValidationResult> {
    this.problem.set(null);
    try {
      const { email, password } = this.form().value();
      await this.session.signIn(email.trim(), password);
      await this.goOn();
      return undefined;
    } catch (error) {
      const { fields, general } = toFormErrors(toProblem(error), this.form, ['email', 'password']);
      this.problem.set(general);
      return fields;
    }
  }

  private goOn(): Promise<boolean> {
    const back = this.back();
    const isOurs = back?.startsWith('/') && !back.startsWith('//') && !back.startsWith('/sign-in');
    return this.router.navigateByUrl(isOurs ? back! : '/');
  }
}
