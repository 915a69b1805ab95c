/** Every live figure by the name that a lesson calls it. */

import { parting, type Parting } from "../views/parting.ts";
import { coins } from "./coins.ts";
import { depth } from "./depth.ts";
import { dying } from "./dying.ts";
import { fits } from "./fits.ts";
import { folds } from "./folds.ts";
import { sheet } from "./sheet.ts";
import { slopes } from "./slopes.ts";
import { unit } from "./unit.ts";

/** What a lesson says of a figure: its name, what it shows, and what else the figure starts from. */
export interface Live {
  readonly figure: string;
  readonly caption: string;
}

export const LIVE: Readonly<Record<string, (host: HTMLElement, data: Live) => void>> = {
  coins, depth, dying, fits, folds, sheet, slopes, unit,
  parting: (host, data) => { parting(host, data as unknown as Parting); },
};
