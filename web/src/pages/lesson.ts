/** A lesson: its theme, code to copy, the guess that is asked for, figures to move. */

import { begin, ready } from "../begin.ts";
import { copying } from "../copy.ts";
import { guess } from "../views/guess.ts";
import { parting, type Parting } from "../views/parting.ts";

begin();
copying();
guess();
for (const host of document.querySelectorAll<HTMLElement>(".live")) {
  parting(host, JSON.parse(host.dataset["live"] ?? "null") as Parting);
}
ready();
