import { ChangeDetectionStrategy, Component, computed, inject } from '@angular/core';
import { toSignal } from '@angular/core/rxjs-interop';
import { MatButton } from '@angular/material/button';
import { MatMenuModule } from '@angular/material/menu';
import { MatSnackBar } from '@angular/material/snack-bar';
import { NavigationEnd, Router, RouterLink, RouterOutlet } from '@angular/router';
import { filter, map, startWith } from 'rxjs';

import { toProblem } from '../../core/api/problem';
import { Portfolios } from '../../core/portfolios';
import { Session } from '../../core/session';
import { Icon } from '../../ui/icon';
import { Logo } from '../../ui/logo';
import { FORM_FIELDS } from '../../ui/form-fields';

/** What surrounds every signed-in page: whose portfolio this is, and the way to the others. */
@Component({
  imports: [Icon, Logo, MatButton, MatMenuModule, RouterLink, RouterOutlet],
  templateUrl: './shell.html',
  styleUrl: './shell.scss',
  providers: [FORM_FIELDS],
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class Shell {
  private readonly router = inject(Router);
  private readonly snackBar = inject(MatSnackBar);
  private readonly portfolios = inject(Portfolios);
  protected readonly session = inject(Session);

  private readonly url = toSignal(
    this.router.events.pipe(
      filter((event) => event instanceof NavigationEnd),
      map((event) => event.urlAfterRedirects),
      startWith(this.router.url),
    ),
    { initialValue: this.router.url },
  );

  protected readonly list = this.portfolios.list;
  protected readonly current = computed(() => {
    const id = /^\/portfolios\/(\d+)/.exec(this.url())?.[1];
    return id ? this.portfolios.find(Number(id)) : null;
  });

  protected async signOut(): Promise<void> {
    try {
      await this.session.signOut();
    } catch (error) {
      this.snackBar.open(toProblem(error).detail, 'Close');
    }
  }
}
