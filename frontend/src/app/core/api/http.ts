import { HttpClient } from '@angular/common/http';
import { Injectable, inject } from '@angular/core';
import { Observable, firstValueFrom, fromEvent, map, merge, take, timeout } from 'rxjs';

import { Problem, toProblem } from './problem';

/** An answer that never comes is no better than none. */
const TIMEOUT_MS = 20_000;

const SLOW = new Problem(
  0,
  'about:blank',
  'No answer',
  'Tailwatch did not answer in 20 seconds. Try again; a repeated trade is booked only once.',
);

/** What a generated `…Data` type says of an operation. */
interface Operation {
  url: string;
  path?: Record<string, number | string>;
  query?: object;
  body?: unknown;
  headers?: object;
}

/** Everything but the address, each part as the operation wants it. */
type Parts<D extends Operation> = Omit<D, 'url'>;

/** A body with the tag that lets the next request ask for it only if it changed. */
export interface Tagged<T> {
  body: T;
  etag: string | null;
}

/**
 * The one place where requests leave the page. Every failure is thrown as a `Problem`.
 *
 * Addresses, parameters and bodies are checked by the compiler against the types generated from the API's document.
 */
@Injectable({ providedIn: 'root' })
export class Http {
  private readonly client = inject(HttpClient);

  /** A request whose `signal` is aborted is given up, on the wire as well, and fails with the signal's reason. */
  async send<D extends Operation, R>(
    method: string,
    url: D['url'],
    parts: Parts<D>,
    signal?: AbortSignal,
  ): Promise<R> {
    signal?.throwIfAborted();
    return (await this.request<R>(method, url, parts, signal)).body as R;
  }

  /** GET with `If-None-Match`; null when the server says that nothing changed (304). */
  async getIfChanged<D extends Operation, R>(
    url: D['url'],
    path: D['path'],
    etag: string | null,
  ): Promise<Tagged<R> | null> {
    try {
      const headers = etag ? { 'If-None-Match': etag } : undefined;
      const response = await this.request<R>('GET', url, { path, headers });
      return { body: response.body as R, etag: response.headers.get('ETag') };
    } catch (error) {
      if (error instanceof Problem && error.status === 304) return null;
      throw error;
    }
  }

  private async request<R>(
    method: string,
    url: string,
    parts: Parts<Operation>,
    signal?: AbortSignal,
  ) {
    const address = url.replace(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(String(parts.path?.[name])),
    );
    const query = Object.entries(parts.query ?? {}).filter(([, value]) => value !== undefined);
    try {
      const answer = this.client
        .request<R>(method, address, {
          observe: 'response',
          body: parts.body,
          headers: { ...parts.headers },
          params: Object.fromEntries(query) as Record<string, string | number>,
        })
        .pipe(timeout(TIMEOUT_MS));
      return await firstValueFrom(signal ? untilAborted(answer, signal) : answer);
    } catch (error) {
      signal?.throwIfAborted();
      throw error instanceof Error && error.name === 'TimeoutError' ? SLOW : toProblem(error);
    }
  }
}

/** The first of the answer and the abortion; leaving the other unsubscribed ends the request. */
function untilAborted<R>(answer: Observable<R>, signal: AbortSignal): Observable<R> {
  const aborted = fromEvent(signal, 'abort').pipe(
    map((): R => {
      throw signal.reason;
    }),
  );
  return merge(answer, aborted).pipe(take(1));
}
