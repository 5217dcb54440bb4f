import { Injectable, OnDestroy, signal } from '@angular/core';

/** The time, once a second, for everything that counts seconds. */
@Injectable({ providedIn: 'root' })
export class Clock implements OnDestroy {
  private readonly time = signal(Date.now());
  private readonly timer = setInterval(() => this.time.set(Date.now()), 1000);

  /** Milliseconds since 1970. */
  readonly now = this.time.asReadonly();

  ngOnDestroy(): void {
    clearInterval(this.timer);
  }
}
