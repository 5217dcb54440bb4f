/** A table as figures and words, the same for the screen reader's view and for the CSV file. */
export interface PlainTable {
  columns: string[];
  rows: (string | number | null)[][];
  /** How a figure is shown on the page; the file has all its digits. */
  format?: (value: number, column: number) => string;
}

/** RFC 4180 text of a table: figures in plain notation, so that every program reads them. */
export function toCsv(table: PlainTable): string {
  return [table.columns, ...table.rows].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
}

function cell(value: string | number | null): string {
  if (value === null) return '';
  const text = String(value);
  // A leading = + @ would be run as a formula by spreadsheets; numbers keep their minus sign.
  const safe = typeof value === 'string' && /^[=+@\t]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Hand the table to the reader as a file. */
export function download(table: PlainTable, name: string): void {
  const url = URL.createObjectURL(new Blob([toCsv(table)], { type: 'text/csv' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `${name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url));
}
