/** A lesson: its theme, code to copy, the guess that is asked for, figures to move. */

import { begin, ready } from "../begin.ts";
import { copying } from "../copy.ts";
import { type Live, LIVE } from "../live/index.ts";
import { guess } from "../views/guess.ts";

begin();
copying();
guess();
for (const host of document.querySelectorAll<HTMLElement>(".live")) {
  const data = JSON.parse(host.dataset["live"] ?? "null") as Live;
  LIVE[data.figure]?.(host, data);
}
ready();
