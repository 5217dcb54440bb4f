import { RecordedChange, Trade } from '../../core/api/types';
import { exact, moment, money } from '../../ui/format';
import { KINDS, entryWords } from '../dashboard/entry-words';

/** One thing that an entry says, as it was and as it became. */
export interface FieldChange {
  name: string;
  before: string;
  after: string;
}

/** A change or removal as the list shows it. */
export interface ChangeRow {
  id: number;
  entry: number;
  removed: boolean;
  /** Purchase or sale as it was: buy of 10 AAPL at 125.50. */
  words: string;
  when: string;
  who: string;
  /** What a change made different; what an entry was that is gone. */
  fields: FieldChange[];
}

type Recorded = Partial<Trade>;

/** What is told of an entry, in the order in which it is read; its currency is part of its amounts. */
const FIELDS: readonly { name: string; show: (entry: Recorded) => string }[] = [
  { name: 'Type', show: ({ type }) => (type ? KINDS[type] : '') },
  { name: 'Ticker', show: ({ ticker }) => ticker ?? '' },
  { name: 'Quantity', show: ({ quantity }) => (quantity ? exact(quantity) : '') },
  { name: 'Price', show: (entry) => inCurrency(entry, entry.price) },
  { name: 'Amount', show: (entry) => inCurrency(entry, entry.amount) },
  { name: 'Fee', show: (entry) => inCurrency(entry, entry.fee) },
  { name: 'Tax', show: (entry) => inCurrency(entry, entry.tax) },
  { name: 'Exchange rate', show: ({ fx_rate }) => (fx_rate ? exact(fx_rate) : '') },
  { name: 'Executed at', show: ({ executed_at }) => (executed_at ? moment(executed_at) : '') },
  { name: 'Account', show: ({ account }) => account ?? '' },
  { name: 'Note', show: ({ note }) => note ?? '' },
  { name: 'Its own id', show: ({ external_id }) => external_id ?? '' },
];

export const NOTHING = 'nothing';

export function changeRow(change: RecordedChange): ChangeRow {
  const before = change.before as Recorded;
  const after = change.after as Recorded | null;
  const removed = change.action === 'removal';
  const fields = FIELDS.map(({ name, show }) => ({
    name,
    before: show(before),
    after: after ? show(after) : '',
  }));
  return {
    id: change.id,
    entry: change.trade_id,
    removed,
    words: sentenceCase(entryWords(change.before as unknown as Trade)),
    when: moment(change.changed_at),
    who: change.changed_by,
    fields: removed
      ? fields.filter((field) => field.before !== '')
      : fields
          .filter((field) => field.before !== field.after)
          .map(({ name, before, after }) => ({
            name,
            before: before || NOTHING,
            after: after || NOTHING,
          })),
  };
}

/** Every digit that is kept: an entry's price may have ten of them. */
function inCurrency({ currency }: Recorded, amount: string | null | undefined): string {
  if (!amount || /^-?0(\.0*)?$/.test(amount)) return '';
  const decimals = amount.split('.')[1]?.length ?? 0;
  return decimals > 2 || !currency
    ? `${exact(amount, 2)} ${currency ?? ''}`.trim()
    : money(amount, currency);
}

const sentenceCase = (words: string) => words.charAt(0).toUpperCase() + words.slice(1);
