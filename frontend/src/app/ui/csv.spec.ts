import { toCsv } from './csv';

describe('toCsv', () => {
  it('quotes what needs quoting and leaves missing figures empty', () => {
    const csv = toCsv({
      columns: ['Name', 'Figure'],
      rows: [
        ['a "b", c', -0.5],
        ['d', null],
      ],
    });
    expect(csv).toBe('Name,Figure\r\n"a ""b"", c",-0.5\r\nd,\r\n');
  });

  it('keeps a note from being run as a formula', () => {
    expect(toCsv({ columns: ['Note'], rows: [['=1+1'], ['-250']] })).toBe(
      "Note\r\n'=1+1\r\n-250\r\n",
    );
  });
});
