/** Keeps what is typed into a form until it is sent, across a reload or a sign-in in between. */
export class Draft<T extends object> {
  constructor(private readonly name: string) {}

  read(empty: T): T {
    try {
      const stored: unknown = JSON.parse(sessionStorage.getItem(this.key) ?? 'null');
      return typeof stored === 'object' ? { ...empty, ...stored } : empty;
    } catch {
      return empty;
    }
  }

  write(value: T): void {
    try {
      sessionStorage.setItem(this.key, JSON.stringify(value));
    } catch {
      // Private windows may refuse storage; the form itself still holds what was typed.
    }
  }

  clear(): void {
    try {
      sessionStorage.removeItem(this.key);
    } catch {
      // Nothing was stored, so nothing is left behind.
    }
  }

  private get key(): string {
    return `tailwatch:draft:${this.name}`;
  }
}
