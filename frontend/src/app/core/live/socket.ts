import { InjectionToken } from '@angular/core';

/** The part of a Socket.IO client that the page uses. */
export interface LiveSocket {
  readonly connected: boolean;
  /** Whether it is connected or will try again by itself. */
  readonly active: boolean;
  on(event: string, listener: (payload: never) => void): unknown;
  emit(event: string, payload: unknown, acknowledge?: (answer: unknown) => void): unknown;
  connect(): unknown;
  disconnect(): unknown;
}

/** Opens the live connection; the client library arrives in its own chunk, after the figures. */
export const OPEN_LIVE_SOCKET = new InjectionToken<() => Promise<LiveSocket>>('OPEN_LIVE_SOCKET', {
  providedIn: 'root',
  factory: () => async () => {
    const { io } = await import('socket.io-client');
    return io({
      transports: ['websocket'],
      autoConnect: false,
      reconnectionDelay: 500,
      reconnectionDelayMax: 5000,
    });
  },
});
