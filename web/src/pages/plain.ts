/** A page of sentences, tables and drawings: its theme. */

import { begin, ready } from "../begin.ts";

begin();
ready();
