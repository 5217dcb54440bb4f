import { ChangeDetectionStrategy, Component } from '@angular/core';
import { RouterLink } from '@angular/router';

@Component({
  imports: [RouterLink],
  template: `
    <section class="sheet">
      <h1>There is no such page</h1>
      <p class="lead">The address may be mistyped, or what it showed was deleted.</p>
      <a routerLink="/">To your portfolio</a>
    </section>
  `,
  changeDetection: ChangeDetectionStrategy.OnPush,
})
export default class NotFound {}
