import { ChangeDetectionStrategy, Component, inject } from '@angular/core';
import { Router } from '@angular/router';

import { Portfolios } from '../../core/portfolios';
import { PortfolioForm } from './portfolio-form';
import { PortfolioModel, toInput } from './portfolio-model';

@Component({
  imports: [PortfolioForm],
  template: `
    <section class="sheet">
      <h1>New portfolio</h1>
      <p class="lead">
        A portfolio is a list of trades with its own risk figures. Everything here can be changed
        later.
      </p>
      <div class="panel">
        <app-portfolio-form
          action="Create portfolio"
          [save]="create"
          (cancelled)="router.navigateByUrl('/')"
        />
      </div>
    </section>
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class NewPortfolio {
  protected readonly router = inject(Router);
  private readonly portfolios = inject(Portfolios);

  protected readonly create = async (model: PortfolioModel): Promise<void> => {
    const { id } = await this.portfolios.create(toInput(model));
    await this.router.navigate(['/portfolios', id]);
  };
}
