import {
  ChangeDetectionStrategy,
  Component,
  computed,
  inject,
  input,
  numberAttribute,
} from '@angular/core';
import { MatButton } from '@angular/material/button';
import { MatDialog } from '@angular/material/dialog';
import { MatSnackBar } from '@angular/material/snack-bar';
import { Router, RouterLink } from '@angular/router';

import { toProblem } from '../../core/api/problem';
import { Portfolio } from '../../core/api/types';
import { Portfolios } from '../../core/portfolios';
import { confirm } from '../../ui/confirm';
import { PortfolioForm } from './portfolio-form';
import { PortfolioModel, changes, fromPortfolio } from './portfolio-model';

/** Rename a portfolio, choose how its risk is measured, or delete it. */
@Component({
  imports: [MatButton, PortfolioForm, RouterLink],
  template: `
    <section class="sheet">
      @if (portfolio(); as p) {
        <h1>Portfolio settings</h1>
        <p class="lead">Changes take effect at once; the figures follow by themselves.</p>
        <div class="panel">
          <app-portfolio-form action="Save" [start]="start()!" [save]="save" (cancelled)="back()" />
        </div>
        <div class="panel">
          <h2>Delete this portfolio</h2>
          <p>Its trades and all its figures go with it, for good.</p>
          <div class="form-actions">
            <button matButton="outlined" (click)="delete(p)" data-testid="portfolio-delete">
              Delete {{ p.name }}
            </button>
          </div>
        </div>
      } @else {
        <h1>There is no such portfolio</h1>
        <a routerLink="/">To your portfolio</a>
      }
    </section>
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class PortfolioSettings {
  readonly portfolioId = input.required({ transform: numberAttribute });

  private readonly portfolios = inject(Portfolios);
  private readonly router = inject(Router);
  private readonly dialog = inject(MatDialog);
  private readonly snackBar = inject(MatSnackBar);

  protected readonly portfolio = computed(() => this.portfolios.find(this.portfolioId()));
  protected readonly start = computed(() => {
    const portfolio = this.portfolio();
    return portfolio && fromPortfolio(portfolio);
  });

  protected readonly save = async (model: PortfolioModel): Promise<void> => {
    const change = changes(this.portfolio()!, model);
    if (Object.keys(change).length > 0) await this.portfolios.change(this.portfolioId(), change);
    await this.back();
  };

  protected back(): Promise<boolean> {
    return this.router.navigate(['/portfolios', this.portfolioId()]);
  }

  protected async delete(portfolio: Portfolio): Promise<void> {
    const sure = await confirm(this.dialog, {
      title: `Delete ${portfolio.name}?`,
      text: 'All its trades and figures are deleted for good. Download the trades as CSV first if you may need them again.',
      action: 'Delete portfolio',
    });
    if (!sure) return;
    try {
      await this.portfolios.delete(portfolio.id);
      await this.router.navigateByUrl('/');
    } catch (error) {
      this.snackBar.open(toProblem(error).detail, 'Close');
    }
  }
}
