/** The page of the lab: its theme, code to copy, films that play while they are open. */

import { begin, ready } from "../begin.ts";
import { copying } from "../copy.ts";

function films(): void {
  for (const fold of document.querySelectorAll<HTMLDetailsElement>("details.film")) {
    const film = fold.querySelector("video");
    fold.addEventListener("toggle", () => {
      const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (fold.open && !isCalm) void film?.play().catch(() => undefined); // a browser may want a press first
      else film?.pause();
    });
  }
}

begin();
copying();
films();
ready();
