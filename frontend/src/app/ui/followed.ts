import { Signal, computed, linkedSignal, resource } from '@angular/core';

/** What a request answered last, kept in sight while a newer answer is on its way. */
export interface Followed<T> {
  readonly value: Signal<T | null>;
  /** Whether a request is under way. */
  readonly busy: Signal<boolean>;
  /** What the last request failed with; null after one that worked. */
  readonly error: Signal<unknown>;
  /** Ask again with the same parameters. */
  reload(): void;
}

/**
 * Ask anew whenever the parameters change and give up what was asked before.
 *
 * The last answer stays until the next one is there, so that nothing jumps, unless `subject` says that it is about
 * something else by now. While the parameters are undefined nothing is asked.
 */
export function followed<P extends object, T>(options: {
  params: () => P | undefined;
  subject: (params: P | undefined) => unknown;
  read: (params: P, signal: AbortSignal) => Promise<T>;
}): Followed<T> {
  const answer = resource<T, P | undefined>({
    params: options.params,
    loader: ({ params, abortSignal }) => options.read(params as P, abortSignal),
  });
  const value = linkedSignal<{ subject: unknown; answer: T | undefined }, T | null>({
    source: () => ({
      subject: options.subject(options.params()),
      answer: answer.hasValue() ? answer.value() : undefined,
    }),
    computation: (now, before) =>
      now.answer ?? (before && before.source.subject === now.subject ? before.value : null),
  });
  return {
    value: value.asReadonly(),
    busy: answer.isLoading,
    error: computed(() => answer.error() ?? null),
    reload: () => void answer.reload(),
  };
}

/** Wait, unless what is waited for is given up. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}
