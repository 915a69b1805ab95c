/** Every test begins on an empty page: files share a document too, in an order that is not ours. */

import { beforeEach } from "vitest";

beforeEach(() => {
  if (typeof document !== "undefined") document.body.replaceChildren();
});
