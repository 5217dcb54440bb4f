import { ImportResult, ReadRow } from '../../core/api/types';
import { KINDS } from '../dashboard/entry-words';
import { day, exact, money } from '../../ui/format';

export type RowStatus = ReadRow['status'];

/** What each status means to the reader. */
export const STATUSES: Record<RowStatus, string> = {
  new: 'New',
  split: 'Split',
  possible_duplicate: 'Booked by hand?',
  error: 'Cannot be booked',
  duplicate: 'Booked already',
  known_split: 'Known split',
  ignored: 'Left out',
};

/** Rows that can be picked one by one. */
export const PICKABLE: readonly RowStatus[] = ['new', 'split', 'possible_duplicate'];

/** A row of a file as the page shows it. */
export interface RowView {
  line: number;
  status: RowStatus;
  statusName: string;
  day: string;
  kind: string;
  ticker: string;
  deal: string;
  amount: string;
  /** Errors, remarks and why it is left out, in sentences. */
  words: string[];
}

export function rowView(row: ReadRow): RowView {
  const { entry, split } = row;
  const words = [...row.errors, ...row.remarks, ...(row.ignored ? [row.ignored] : [])];
  const common = { line: row.line, status: row.status, statusName: STATUSES[row.status], words };
  if (split) {
    const deal = `1 share becomes ${exact(split.ratio)}`;
    return {
      ...common,
      day: day(split.day),
      kind: 'Split',
      ticker: split.ticker,
      deal,
      amount: '',
    };
  }
  if (!entry) return { ...common, day: '', kind: '', ticker: '', deal: raw(row), amount: '' };
  const absolute = (value: string) => value.replace('-', '');
  return {
    ...common,
    day: day(entry.executed_at),
    kind: KINDS[entry.type],
    ticker: entry.ticker ?? '',
    deal:
      entry.quantity === null || entry.price === null
        ? ''
        : `${exact(absolute(entry.quantity))} × ${exact(entry.price, 2)}`,
    amount: entry.amount === null ? entry.currency : money(entry.amount, entry.currency),
  };
}

/** The row's own cells, for one that could not be read. */
function raw(row: ReadRow): string {
  return Object.values(row.raw)
    .filter((cell) => typeof cell === 'string' && cell !== '')
    .slice(0, 6)
    .join(' · ');
}

/** What the file came to, in a sentence. */
export function summary(result: ImportResult): string {
  const { counts } = result;
  const parts = [
    count(counts.new, 'new entry', 'new entries'),
    count(counts.split, 'split', 'splits'),
    counts.duplicate ? `${exact(String(counts.duplicate))} booked already` : '',
    counts.possible_duplicate
      ? `${exact(String(counts.possible_duplicate))} that look like what you booked by hand`
      : '',
    counts.error ? `${exact(String(counts.error))} that cannot be booked` : '',
    counts.ignored ? `${exact(String(counts.ignored))} left out` : '',
  ].filter(Boolean);
  return parts.length ? `${parts.join(', ')}.` : 'There is nothing in it to book.';
}

const count = (n: number, one: string, many: string) =>
  n ? `${exact(String(n))} ${n === 1 ? one : many}` : '';

/** Our columns, in words, for a file whose columns have to be named. */
export const COLUMNS: readonly { name: string; label: string; needed: boolean }[] = [
  { name: 'date', label: 'Date', needed: true },
  { name: 'symbol', label: 'Ticker', needed: true },
  { name: 'quantity', label: 'Quantity', needed: true },
  { name: 'price', label: 'Price for one', needed: true },
  { name: 'type', label: 'Type (buy, sell, dividend …)', needed: false },
  { name: 'amount', label: 'Amount of cash', needed: false },
  { name: 'currency', label: 'Currency', needed: false },
  { name: 'fee', label: 'Fee', needed: false },
  { name: 'tax', label: 'Tax', needed: false },
  { name: 'account', label: 'Account', needed: false },
  { name: 'external_id', label: 'Identity of the row', needed: false },
  { name: 'note', label: 'Note', needed: false },
];

/** The columns that a refusal names: "Its columns are: Date, What, …" */
export function columnsOf(refusal: string): string[] {
  const found = /Its columns are: (.*?)\. Known are:/.exec(refusal);
  return found ? found[1].split(', ') : [];
}
