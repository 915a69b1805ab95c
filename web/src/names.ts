/** Names that fit: what all of them begin with is left out, then their middles. Tips tell them in full. */

const WORD_ENDS = /[.\s/]/;

/** The length of what all names begin with, up to the end of a word. */
export function sharedStart(names: readonly string[]): number {
  const [first = "", ...others] = names;
  if (!others.length) return 0;
  let same = 0;
  while (same < first.length && others.every((name) => name[same] === first[same])) same++;
  while (same > 0 && !WORD_ENDS.test(first[same - 1] ?? "")) same--;
  return same;
}

/** A name with its middle left out when it is longer than `most` letters; both ends tell names apart. */
export function shortened(name: string, most = 18): string {
  if (name.length <= most) return name;
  const tail = Math.floor((most - 1) / 2) + 1;
  return `${name.slice(0, most - 1 - tail)}…${name.slice(-tail)}`;
}

/** Class names without the words they all begin with. */
export function distinct(names: readonly string[], most = 14): string[] {
  const cut = sharedStart(names);
  return names.map((name) => shortened(name.slice(cut), most));
}

/** Names of layers; the first is the input, and does not take part in the common start. */
export function ofLayers(names: readonly string[], most = 18): string[] {
  const [first = "", ...others] = names;
  const cut = sharedStart(others);
  return names.length ? [first, ...others.map((name) => name.slice(cut))].map((name) => shortened(name, most)) : [];
}
