import { HttpErrorResponse } from '@angular/common/http';

import { Problem, renamed, spread, toProblem } from './problem';

function answered(status: number, error: unknown): Problem {
  return toProblem(new HttpErrorResponse({ status, error }));
}

describe('toProblem', () => {
  it('reads problem+json, parsed or not', () => {
    const body = {
      type: '/problems/invalid-input',
      title: 'Invalid',
      status: 422,
      detail: 'Correct price and send the request again.',
      errors: [{ field: 'price', message: 'must not be negative' }, { nonsense: true }],
    };
    for (const sent of [body, JSON.stringify(body)]) {
      const problem = answered(422, sent);
      expect(problem).toMatchObject({ status: 422, detail: body.detail });
      expect(problem.errors).toEqual([body.errors[0]]);
    }
  });

  it('has a sentence for a lost connection and for answers that are no problem+json', () => {
    expect(answered(0, null).isOffline).toBe(true);
    expect(answered(0, null).detail).toContain('nothing you typed is lost');
    expect(answered(502, '<html>Bad gateway</html>').detail).toContain('502');
    expect(answered(502, null).isTemporary).toBe(true);
    expect(answered(422, null).isTemporary).toBe(false);
  });
});

describe('spread', () => {
  const fields = ['ticker', 'quantity', 'executedAt'];
  const problem = (errors: { field: string; message: string }[]) =>
    new Problem(422, 't', 'Title', 'The whole sentence.', errors);

  it('puts each error at its field, as a sentence of its own', () => {
    expect(
      spread(problem([{ field: 'body.quantity', message: 'must not be zero' }]), fields),
    ).toEqual([{ field: 'quantity', message: 'This must not be zero.' }]);
  });

  it('swallows nothing: unknown fields and fieldless problems go to the form', () => {
    expect(spread(problem([{ field: 'currency', message: 'must be USD' }]), fields)).toEqual([
      { field: null, message: 'Currency must be USD.' },
    ]);
    expect(spread(problem([]), fields)).toEqual([{ field: null, message: 'The whole sentence.' }]);
  });

  it('speaks the form’s names', () => {
    const sent = problem([{ field: 'executed_at', message: 'must not be in the future' }]);
    expect(spread(renamed(sent, { executed_at: 'executedAt' }), fields)[0].field).toBe(
      'executedAt',
    );
  });
});
