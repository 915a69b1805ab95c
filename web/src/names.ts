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
export function shorten(name: string, most = 18): string {
  if (name.length <= most) return name;
  const tail = Math.floor((most - 1) / 2) + 1;
  return `${name.slice(0, most - 1 - tail)}…${name.slice(-tail)}`;
}

/** Class names without the words they all begin with. */
export function distinct(names: readonly string[], most = 14): string[] {
  const cut = sharedStart(names);
  return names.map((name) => shorten(name.slice(cut), most));
}

const MOST_HAVE = 0.6;
/** Share of the layers that begin alike, above which their start is left out. */

/** The longest start, up to the end of a word, that most of the names have. */
export function commonStart(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) {
    for (let i = 1; i < name.length; i++) {
      if (!WORD_ENDS.test(name[i - 1] ?? "")) continue;
      const start = name.slice(0, i);
      counts.set(start, (counts.get(start) ?? 0) + 1);
    }
  }
  const least = Math.max(2, MOST_HAVE * names.length);
  return [...counts].filter(([, n]) => n >= least).map(([start]) => start).sort((a, b) => b.length - a.length)[0] ?? "";
}

/** The words of a path, and what stands between them. */
const PARTS = /([.\s/])/;

/**
 * A path that fits: from the left, its words become their first letters, as far as is needed, and then its end is left
 * out. The numbers of blocks stay, which are all that tells two of them apart.
 */
export function abbreviate(path: string, most = 18): string {
  const parts = path.split(PARTS);
  if (parts.length < 3) return shorten(path, most);
  for (let i = 0; i < parts.length - 1 && parts.join("").length > most; i += 2)
    parts[i] = (parts[i] ?? "").replace(/(\p{L})[\p{L}_]+/gu, "$1");
  const found = parts.join("");
  return found.length > most ? `${found.slice(0, most - 1)}…` : found;
}

/** Names of layers, without the start that most of them have. The first is the input, and does not take part. */
export function ofLayers(names: readonly string[], most = 18): string[] {
  const [first, ...others] = names;
  if (first === undefined) return [];
  const start = commonStart(others);
  const cut = others.map((name) => (name.startsWith(start) ? name.slice(start.length) : name));
  const told = new Set([first, ...cut]).size === new Set(names).size ? cut : others;
  const [short, middle] = [abbreviate, shorten].map((fit) => [first, ...told].map((name) => fit(name, most)));
  return new Set(short).size >= new Set(middle).size ? short ?? [] : middle ?? [];
}
