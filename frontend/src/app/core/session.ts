import { Injectable, Injector, computed, inject, signal } from '@angular/core';
import { Router } from '@angular/router';

import { Api } from './api/api';
import { Problem } from './api/problem';
import { Me } from './api/types';

/** Who is signed in. The cookie is HttpOnly; this holds the name to show and the token for writes. */
@Injectable({ providedIn: 'root' })
export class Session {
  private readonly injector = inject(Injector);
  private readonly router = inject(Router);
  private readonly me = signal<Me | null>(null);

  readonly email = computed(() => this.me()?.user.email ?? '');
  readonly csrfToken = computed(() => this.me()?.csrf_token ?? null);
  readonly isSignedIn = computed(() => this.me() !== null);

  /** Ask the server whether the cookie still counts; false where it does not. */
  async resume(): Promise<boolean> {
    if (this.isSignedIn()) return true;
    try {
      this.me.set(await this.api.me());
      return true;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return false;
      throw error;
    }
  }

  async signIn(email: string, password: string): Promise<void> {
    this.me.set(await this.api.signIn(email, password));
  }

  async redeemLink(token: string): Promise<void> {
    this.me.set(await this.api.redeemLink(token));
  }

  async signOut(): Promise<void> {
    await this.api.signOut();
    this.me.set(null);
    await this.router.navigateByUrl('/sign-in');
  }

  /** The server no longer knows the session: come back to this page after signing in. */
  ended(): void {
    if (!this.isSignedIn()) return;
    this.me.set(null);
    const back = this.router.url;
    void this.router.navigate(['/sign-in'], { queryParams: { ended: 1, back } });
  }

  /** The API's interceptors ask for the session, so the session asks for the API late. */
  private get api(): Api {
    return this.injector.get(Api);
  }
}
