import { inject } from '@angular/core';
import { CanActivateFn, Router } from '@angular/router';

import { Portfolios } from './portfolios';
import { Session } from './session';

/** Lets the signed-in through, and sends everyone else to sign in and then back to where they wanted to go. */
export const mustBeSignedIn: CanActivateFn = async (_route, state) => {
  const session = inject(Session);
  const router = inject(Router);
  const portfolios = inject(Portfolios);
  try {
    if (await session.resume()) {
      await portfolios.load();
      return true;
    }
    const back = state.url === '/' ? undefined : state.url;
    return router.createUrlTree(['/sign-in'], { queryParams: { back } });
  } catch {
    return router.createUrlTree(['/sign-in'], { queryParams: { unreachable: 1, back: state.url } });
  }
};

/** The address without a portfolio leads to the default one, or to making the first. */
export const toDefaultPortfolio: CanActivateFn = () => {
  const first = inject(Portfolios).default();
  return inject(Router).createUrlTree(first ? ['/portfolios', first.id] : ['/portfolios', 'new']);
};
