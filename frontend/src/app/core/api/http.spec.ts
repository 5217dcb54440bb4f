import { provideHttpClient, withInterceptors } from '@angular/common/http';
import { HttpTestingController, provideHttpClientTesting } from '@angular/common/http/testing';
import { TestBed } from '@angular/core/testing';
import { Router } from '@angular/router';

import { Session } from '../session';
import { Api } from './api';
import { csrfInterceptor, signedOutInterceptor } from './interceptors';
import { Problem } from './problem';

describe('requests', () => {
  let api: Api;
  let server: HttpTestingController;
  const router = { url: '/portfolios/7', navigate: vi.fn(() => Promise.resolve(true)) };

  beforeEach(async () => {
    router.navigate.mockClear();
    TestBed.configureTestingModule({
      providers: [
        provideHttpClient(withInterceptors([csrfInterceptor, signedOutInterceptor])),
        provideHttpClientTesting(),
        { provide: Router, useValue: router },
      ],
    });
    api = TestBed.inject(Api);
    server = TestBed.inject(HttpTestingController);
    const signedIn = TestBed.inject(Session).signIn('me@home', 'secret');
    server
      .expectOne('/api/session')
      .flush({ user: { id: 1, email: 'me@home' }, csrf_token: 'the-token' });
    await signedIn;
  });

  afterEach(() => server.verify());

  it('proves writes with the session’s token, and leaves reads alone', () => {
    void api.recompute(7);
    void api.trades(7);
    const write = server.expectOne('/api/portfolios/7/risk/recompute');
    const read = server.expectOne('/api/portfolios/7/trades?limit=20');
    expect(write.request.headers.get('X-CSRF-Token')).toBe('the-token');
    expect(read.request.headers.has('X-CSRF-Token')).toBe(false);
  });

  it('are given up on the wire when their signal is aborted', async () => {
    const giveUp = new AbortController();
    const asked = api.preview(7, { trades: [] }, giveUp.signal);
    const request = server.expectOne('/api/portfolios/7/risk/preview');
    giveUp.abort(new Error('typed on'));
    await expect(asked).rejects.toThrow('typed on');
    expect(request.cancelled).toBe(true);
    await expect(api.preview(7, { trades: [] }, giveUp.signal)).rejects.toThrow('typed on');
  });

  it('asks only for what changed', async () => {
    const first = api.risk(7, null);
    const asked = server.expectOne('/api/portfolios/7/risk');
    expect(asked.request.headers.has('If-None-Match')).toBe(false);
    asked.flush({ snapshot_id: 1 }, { headers: { ETag: '"a"' } });
    expect(await first).toEqual({ body: { snapshot_id: 1 }, etag: '"a"' });

    const second = api.risk(7, '"a"');
    const again = server.expectOne('/api/portfolios/7/risk');
    expect(again.request.headers.get('If-None-Match')).toBe('"a"');
    again.flush(null, { status: 304, statusText: 'Not Modified' });
    expect(await second).toBeNull();
  });

  it('asks to sign in again when the session has ended, once', async () => {
    const refused = [api.holdings(7), api.history(7)].map((request) =>
      request.catch((error: unknown) => error),
    );
    for (const request of server.match(() => true)) {
      request.flush({ detail: 'Sign in.' }, { status: 401, statusText: 'Unauthorized' });
    }
    for (const problem of await Promise.all(refused)) expect(problem).toBeInstanceOf(Problem);
    expect(router.navigate).toHaveBeenCalledTimes(1);
    expect(router.navigate).toHaveBeenCalledWith(['/sign-in'], {
      queryParams: { ended: 1, back: '/portfolios/7' },
    });
  });

  it('reads a short list to its end', async () => {
    const tokens = api.tokens();
    server.expectOne('/api/tokens').flush({ items: [{ id: 2 }], next_cursor: 'c' });
    await vi.waitFor(() =>
      server.expectOne('/api/tokens?cursor=c').flush({ items: [{ id: 1 }], next_cursor: null }),
    );
    expect((await tokens).map(({ id }) => id)).toEqual([2, 1]);
  });
});
