import { ChangeDetectionStrategy, Component, OnInit, inject, signal } from '@angular/core';
import {
  FormField,
  FormRoot,
  TreeValidationResult,
  form,
  maxLength,
  required,
} from '@angular/forms/signals';
import { MatButton } from '@angular/material/button';
import { MatDialog } from '@angular/material/dialog';
import { MatFormFieldModule } from '@angular/material/form-field';
import { MatInput } from '@angular/material/input';
import { MatSelectModule } from '@angular/material/select';
import { MatSnackBar } from '@angular/material/snack-bar';

import { Api } from '../../core/api/api';
import { toFormErrors } from '../../core/api/form-errors';
import { toProblem } from '../../core/api/problem';
import { Token } from '../../core/api/types';
import { confirm } from '../../ui/confirm';
import { day, moment } from '../../ui/format';
import { Icon } from '../../ui/icon';

interface TokenModel {
  name: string;
  scope: Token['scope'];
}

const NEW_TOKEN: TokenModel = { name: '', scope: 'read' };

/** Keys for programs that use the API: made, shown once, taken back. */
@Component({
  imports: [FormField, FormRoot, Icon, MatButton, MatFormFieldModule, MatInput, MatSelectModule],
  templateUrl: './tokens.html',
  styleUrl: './tokens.scss',
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class Tokens implements OnInit {
  private readonly api = inject(Api);
  private readonly dialog = inject(MatDialog);
  private readonly snackBar = inject(MatSnackBar);

  protected readonly tokens = signal<Token[] | null>(null);
  protected readonly loadProblem = signal<string | null>(null);
  protected readonly problem = signal<string | null>(null);
  /** The secret just made; gone with this page. */
  protected readonly fresh = signal<{ name: string; token: string } | null>(null);
  protected readonly day = day;
  protected readonly moment = moment;
  protected readonly form = form(
    signal(NEW_TOKEN),
    (path) => {
      required(path.name, { message: 'Name it after what will use it.' });
      maxLength(path.name, 100, { message: 'At most 100 characters.' });
    },
    { submission: { action: () => this.create() } },
  );

  ngOnInit(): void {
    void this.load();
  }

  protected async load(): Promise<void> {
    try {
      this.tokens.set(await this.api.tokens());
      this.loadProblem.set(null);
    } catch (error) {
      this.loadProblem.set(toProblem(error).detail);
    }
  }

  protected async copy(token: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(token);
      this.snackBar.open('Copied.', undefined, { duration: 3000 });
    } catch {
      // Browsers lend the clipboard to secure origins only.
      this.snackBar.open(
        'The browser does not allow copying here; select the token and copy it.',
        'Close',
      );
    }
  }

  protected async revoke(token: Token): Promise<void> {
    const sure = await confirm(this.dialog, {
      title: `Revoke ${token.name}?`,
      text: 'Whatever uses this token is refused from now on. This cannot be taken back.',
      action: 'Revoke token',
    });
    if (!sure) return;
    try {
      await this.api.revokeToken(token.id);
      this.tokens.update((tokens) => tokens?.filter(({ id }) => id !== token.id) ?? null);
    } catch (error) {
      this.snackBar.open(toProblem(error).detail, 'Close');
    }
  }

  private async create(): Promise<TreeValidationResult> {
    this.problem.set(null);
    try {
      const { name, scope } = this.form().value();
      const { token, ...made } = await this.api.createToken({ name: name.trim(), scope });
      this.fresh.set({ name: made.name, token });
      this.tokens.update((tokens) => [made, ...(tokens ?? [])]);
      this.form().reset(NEW_TOKEN);
      return undefined;
    } catch (error) {
      const { fields, general } = toFormErrors(toProblem(error), this.form, ['name', 'scope']);
      this.problem.set(general);
      return fields;
    }
  }
}
