import { HttpErrorResponse, HttpInterceptorFn } from '@angular/common/http';
import { inject } from '@angular/core';
import { tap } from 'rxjs';

import { Session } from '../session';

const READS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Writes prove that they come from this page: the session's token goes along as `X-CSRF-Token`. */
export const csrfInterceptor: HttpInterceptorFn = (request, next) => {
  const token = inject(Session).csrfToken();
  if (READS.has(request.method) || !token) return next(request);
  return next(request.clone({ setHeaders: { 'X-CSRF-Token': token } }));
};

/** An answer 401 outside signing in means that the session has ended: ask for a new one. */
export const signedOutInterceptor: HttpInterceptorFn = (request, next) => {
  const session = inject(Session);
  return next(request).pipe(
    tap({
      error: (error: unknown) => {
        const ended = error instanceof HttpErrorResponse && error.status === 401;
        if (ended && !request.url.startsWith('/api/session') && request.url !== '/api/me') {
          session.ended();
        }
      },
    }),
  );
};
