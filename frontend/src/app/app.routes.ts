import { Routes } from '@angular/router';

import { mustBeSignedIn, toDefaultPortfolio } from './core/guards';

export const routes: Routes = [
  {
    path: 'sign-in',
    title: 'Sign in · Tailwatch',
    loadComponent: () => import('./features/sign-in/sign-in'),
  },
  {
    path: '',
    canActivate: [mustBeSignedIn],
    loadComponent: () => import('./features/shell/shell'),
    children: [
      { path: '', pathMatch: 'full', canActivate: [toDefaultPortfolio], children: [] },
      {
        path: 'portfolios/new',
        title: 'New portfolio · Tailwatch',
        loadComponent: () => import('./features/portfolio/new-portfolio'),
      },
      {
        path: 'portfolios/:portfolioId',
        loadComponent: () => import('./features/dashboard/dashboard'),
      },
      {
        path: 'portfolios/:portfolioId/settings',
        title: 'Portfolio settings · Tailwatch',
        loadComponent: () => import('./features/portfolio/portfolio-settings'),
      },
      {
        path: 'portfolios/:portfolioId/import',
        title: 'Import a file · Tailwatch',
        loadComponent: () => import('./features/import/import'),
      },
      {
        path: 'portfolios/:portfolioId/changes',
        title: 'Changes to the book · Tailwatch',
        loadComponent: () => import('./features/changes/changes'),
      },
      {
        path: 'prices',
        title: 'Prices · Tailwatch',
        loadComponent: () => import('./features/prices/prices'),
      },
      {
        path: 'settings/tokens',
        title: 'API tokens · Tailwatch',
        loadComponent: () => import('./features/tokens/tokens'),
      },
      {
        path: '**',
        title: 'Not found · Tailwatch',
        loadComponent: () => import('./features/shell/not-found'),
      },
    ],
  },
];
