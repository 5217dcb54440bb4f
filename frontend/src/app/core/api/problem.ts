import { HttpErrorResponse } from '@angular/common/http';

export interface FieldError {
  field: string;
  message: string;
}

/** What went wrong with a request, in words a reader can act on (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    readonly title: string,
    readonly detail: string,
    readonly errors: readonly FieldError[] = [],
  ) {
    super(detail);
    this.name = 'Problem';
  }

  /** The request never got an answer: no network, or the server is not running. */
  get isOffline(): boolean {
    return this.status === 0;
  }

  /** Trying the same again later may work. */
  get isTemporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const OFFLINE = new Problem(
  0,
  'about:blank',
  'No connection',
  'Tailwatch cannot be reached. Check that it is running and that you are online; nothing you typed is lost.',
);

/** Turn whatever a request threw into a `Problem`. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (!(error instanceof HttpErrorResponse)) {
    return new Problem(-1, 'about:blank', 'Unexpected error', String(error));
  }
  if (error.status === 0) return OFFLINE;
  const body = readBody(error.error);
  return new Problem(
    error.status,
    text(body['type'], 'about:blank'),
    text(body['title'], 'Request refused'),
    text(body['detail'], fallbackSentence(error.status)),
    readErrors(body['errors']),
  );
}

function readBody(body: unknown): Record<string, unknown> {
  if (typeof body === 'string') {
    try {
      return readBody(JSON.parse(body));
    } catch {
      return {};
    }
  }
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
}

function readErrors(errors: unknown): FieldError[] {
  if (!Array.isArray(errors)) return [];
  return errors.filter(
    (error): error is FieldError =>
      typeof error?.field === 'string' && typeof error?.message === 'string',
  );
}

const capital = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);

function text(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value ? value : otherwise;
}

function fallbackSentence(status: number): string {
  if (status === 429) return 'Too many requests in a short time. Wait a minute, then try again.';
  if (status === 413) return 'That is more than the server takes in one request.';
  if (status >= 500) return `The server could not answer (${status}). Try again in a moment.`;
  return `The server refused the request (${status}).`;
}

/** An error of one form field, or of the whole form where `field` is null. */
export interface MappedError {
  field: string | null;
  message: string;
}

/**
 * Spread a problem over a form's fields.
 *
 * Errors of fields the form does not show, and a problem that names no field, go to the form as a whole,
 * so that nothing the server said is swallowed. `errors[].field` may be a path such as `body.price`.
 */
export function spread(problem: Problem, fields: readonly string[]): MappedError[] {
  const mapped = problem.errors.map(({ field, message }): MappedError => {
    const own = field.split('.').findLast((part) => fields.includes(part));
    if (own) return { field: own, message: standing(message) };
    return { field: null, message: standing(message, field || undefined) };
  });
  return mapped.length > 0 ? mapped : [{ field: null, message: problem.detail }];
}

/** The same problem with its fields called as the form calls them; unknown names stay. */
export function renamed(problem: Problem, names: Record<string, string>): Problem {
  const errors = problem.errors.map(({ field, message }) => {
    const last = field.split('.').at(-1) ?? field;
    return { field: names[last] ?? field, message };
  });
  return new Problem(problem.status, problem.type, problem.title, problem.detail, errors);
}

/** Messages come as the end of a sentence ("must not be negative"): give them a beginning and a full stop. */
function standing(message: string, subject = 'This'): string {
  const text = /^[a-z]/.test(message) ? `${capital(subject)} ${message}` : message;
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
