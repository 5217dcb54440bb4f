import { BreakpointObserver } from '@angular/cdk/layout';
import { Signal, inject } from '@angular/core';
import { toSignal } from '@angular/core/rxjs-interop';
import { map } from 'rxjs';

/** Whether the page is too narrow for a table of figures. */
export function narrow(): Signal<boolean> {
  return toSignal(
    inject(BreakpointObserver)
      .observe('(max-width: 699px)')
      .pipe(map(({ matches }) => matches)),
    { initialValue: false },
  );
}
