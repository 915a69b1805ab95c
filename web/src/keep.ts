/** What a page remembers from visit to visit; nothing where there is no storage, as in a sandboxed frame. */

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // the page forgets
  }
}
