/** Every view by the name that a page calls it. */

import type { View } from "../place.ts";
import { curve } from "./curve.ts";
import { densities } from "./density.ts";
import { film } from "./film.ts";
import { flow } from "./flow.ts";
import { gradient } from "./gradient.ts";
import { histogram } from "./histogram.ts";
import { images } from "./images.ts";
import { ladder } from "./ladder.ts";
import { law } from "./law.ts";
import { confusion, similarity } from "./matrix.ts";
import { moments } from "./moments.ts";
import { planes } from "./planes.ts";
import { probes } from "./probes.ts";
import { spectrum } from "./spectrum.ts";
import { staircase } from "./staircase.ts";
import { training } from "./training.ts";
import { units } from "./units.ts";
import { differences, versus } from "./versus.ts";

/** A view trusts the page that its data have its shape: both are written by one release of the package. */
export const VIEWS: Readonly<Record<string, View<never>>> = {
  confusion, curve, density: densities, differences, film, flow, gradient, histogram, images, ladder, law, moments, planes, probes,
  similarity, spectrum, staircase, training, units, versus,
};
